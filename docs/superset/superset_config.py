"""Superset's settings for an atlas. SUPERSET_CONFIG_PATH names this file."""

import os
from pathlib import Path

# Superset keeps its dashboards here. It only reads the atlas.
HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}?check_same_thread=false"
# Lets a dashboard filter choose the signature: the data set's SQL is a template.
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": True}
# dashboard.py logs in by token. Leave this on where people log in.
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
