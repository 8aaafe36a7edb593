from django.apps import AppConfig


class TransfersConfig(AppConfig):
    name = "isocenter.apps.transfers"
    label = "transfers"
    default_auto_field = "django.db.models.BigAutoField"
