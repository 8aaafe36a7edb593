from django.apps import AppConfig


class DicomwebConfig(AppConfig):
    name = "isocenter.apps.dicomweb"
    label = "dicomweb"
