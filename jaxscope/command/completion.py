"""`jaxscope completion`: what shells need to complete commands, options and files."""

import argparse
from collections.abc import Callable
from typing import Any

_SHELLS = ("bash", "zsh", "fish")


def add_to(commands: Any, parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the command.

    Args:
        commands: To what it is added.
        parser: Gives the parser whose words are completed.
    """
    made = commands.add_parser(
        "completion",
        help="a script by which a shell completes all this",
        description='bash, zsh: eval "$(jaxscope completion bash)"; fish: jaxscope completion fish | source',
    )
    made.add_argument("shell", choices=_SHELLS)
    made.set_defaults(run=lambda asked: print(script(asked.shell, parser())))


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """Return the script for a shell."""
    commands = _commands(parser)
    if shell == "fish":
        return _fish(commands)
    bash = _bash(commands)
    return f"autoload -U +X bashcompinit && bashcompinit\n{bash}" if shell == "zsh" else bash


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return each command's help, and its options with theirs."""
    (subparsers,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    helps = {one.dest: str(one.help) for one in subparsers._choices_actions}
    return {
        name: (
            helps[name],
            [
                (flag, str(action.help))
                for action in made._actions
                for flag in action.option_strings
                if flag.startswith("--")
            ],
        )
        for name, made in subparsers.choices.items()
    }


def _bash(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    cases = "\n".join(
        f'    {name}) words="{" ".join(flag for flag, _ in options)}" ;;'
        for name, (_, options) in commands.items()
    )
    return f"""\
_jaxscope() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=( $(compgen -W "{" ".join(commands)} --help --version" -- "$word") )
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  if [ "${{COMP_WORDS[1]}}" = completion ]; then
    COMPREPLY=( $(compgen -W "{" ".join(_SHELLS)}" -- "$word") )
  elif [ "${{word#-}}" != "$word" ]; then
    COMPREPLY=( $(compgen -W "$words" -- "$word") )
  else
    COMPREPLY=( $(compgen -f -- "$word") )
  fi
}}
complete -o filenames -F _jaxscope jaxscope"""


def _fish(commands: dict[str, tuple[str, list[tuple[str, str]]]]) -> str:
    lines = []
    for name, (text, options) in commands.items():
        lines.append(f"complete -c jaxscope -n __fish_use_subcommand -f -a {name} -d {_quoted(text)}")
        seen = f"'__fish_seen_subcommand_from {name}'"
        for flag, told in options:
            lines.append(f"complete -c jaxscope -n {seen} -l {flag[2:]} -d {_quoted(told)}")
        if name == "completion":
            lines.append(f"complete -c jaxscope -n {seen} -f -a '{' '.join(_SHELLS)}'")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
