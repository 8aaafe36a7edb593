from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "isocenter.apps.api"
    label = "api"
