"""Write vega.js: Vega, Vega-Lite and Vega-Embed, as vl-convert bundles them. Run this after an update of Altair."""

from importlib.metadata import version
from pathlib import Path

import vl_convert


def bundle() -> str:
    """The libraries as a script. A closing tag in it would end the script of a page."""
    versions = f"Vega {vl_convert.get_vega_version()}, Vega-Lite {vl_convert.get_vegalite_versions()[-1]}"
    versions += f", Vega-Embed {vl_convert.get_vega_embed_version()}"
    maker = f"vl-convert {version('vl-convert-python')}"
    head = f"// {versions}, bundled by {maker}. Licences: LICENSES.txt beside this file.\n"
    return head + vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")


if __name__ == "__main__":
    Path(__file__).with_name("vega.js").write_text(bundle(), encoding="utf-8")
