"""What stands around the code keeps together: versions, extras, the workflow, the forms."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import jaxscope

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
# Extras for those who work on jaxscope, or run its examples.
NOT_FOR_USERS = {"all", "examples", "test"}


def parsed(path: Path | str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_versions_agree():
    """The package, the citation and the changelog's newest section name one version, and one day."""
    citation = parsed("CITATION.cff")
    changes = (ROOT / "CHANGELOG.md").read_text()
    (version, day), *_ = re.findall(r"^## \[(.+)\] - (.+)$", changes, re.MULTILINE)
    assert jaxscope.__version__ == version == citation["version"]
    assert str(citation["date-released"]) == day
    assert citation["license"] in PROJECT["license"].split(" AND ")  # the others are of what is brought along


def test_all_is_all():
    """`jaxscope[all]` is each extra that users may want."""
    extras = PROJECT["optional-dependencies"]
    (all_of_them,) = extras["all"]
    assert all_of_them == f"jaxscope[{','.join(sorted(set(extras) - NOT_FOR_USERS))}]"


def test_workflow():
    """It runs `.ci/run`, with the oldest and the newest Python that the package names, and may only read."""
    workflow = parsed(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    (setup,) = [step["with"] for step in job["steps"] if "setup-python" in str(step)]
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert setup["python-version"].split() == [named[0], named[-1]]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert workflow["permissions"] == {"contents": "read"}
    assert job["timeout-minutes"] <= 90
    assert all(re.search(r"@v\d+$", step["uses"]) for step in job["steps"] if "uses" in step)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms(path: Path):
    """Each form is one that the host takes: known kinds of fields, each with a label and an id of its own."""
    form = parsed(path)
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)
