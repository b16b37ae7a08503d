"""The site: `python -m sphinx -n -W --keep-going docs docs/_build/html`."""
# ruff: noqa: INP001

import sys
from pathlib import Path

import jaxscope

sys.path.insert(0, str(Path(__file__).parent))

project = "jaxscope"
author = project_copyright = "the jaxscope authors"
version = release = jaxscope.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "_site.docstrings",
    "_site.public",
    "_site.references",
    "_site.signatures",
]
exclude_patterns = ["_build"]
myst_heading_anchors = 4  # as code hosts make them, so that links serve there and here

# --- Entries of public names. ---
autodoc_default_options = {"members": True, "member-order": "groupwise"}
# Fields are a list, and not entries, which autodoc makes of them; and not headed "Variables".
napoleon_custom_sections = ["Source", ("Attributes", "params_style")]
napoleon_use_rtype = False
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
# Nothing is asked of the network, so names of other libraries lead nowhere; ours must lead somewhere.
nitpick_ignore_regex = [("py:.*", r"(?!jaxscope).*")]

# --- Looks. ---
html_theme = "furo"
html_title = "jaxscope"
html_show_sourcelink = False
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
toc_object_entries_show_parents = "hide"
