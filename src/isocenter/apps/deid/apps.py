from django.apps import AppConfig


class DeidConfig(AppConfig):
    name = "isocenter.apps.deid"
    label = "deid"
    default_auto_field = "django.db.models.BigAutoField"
