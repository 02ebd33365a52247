"""The one inline script of every page: it chooses light or dark before anything is painted."""

import base64
import hashlib

# Runs before the first paint, so that a dark page never flashes white.
THEME_SCRIPT = (
    "(function(){var t=null;try{t=localStorage.getItem('loupe-theme')}catch(e){}"
    "if(t!=='light'&&t!=='dark'){t=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light'}"
    "document.documentElement.setAttribute('data-bs-theme',t)})()"
)


def script_hash(script: str) -> str:
    """The source expression of a content policy that allows this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
