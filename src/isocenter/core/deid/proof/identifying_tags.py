"""Which attributes hold identifiers that are text, and which UIDs identify nobody."""

from __future__ import annotations

#: Attributes that hold identifiers, by kind. Kinds ``id``, ``address`` and ``phone`` are the
#: patient's and staff's own; ``order``, ``institution`` and ``device`` are searched where they are
#: long enough.
KINDS: dict[str, tuple[int, ...]] = {
    "id": (
        0x00080050,  # AccessionNumber
        0x00100020,  # PatientID
        0x00101000,  # OtherPatientIDs
        0x00101050,  # InsurancePlanIdentification
        0x00101090,  # MedicalRecordLocator
        0x00120040,  # ClinicalTrialSubjectID
        0x00120042,  # ClinicalTrialSubjectReadingID
        0x00380010,  # AdmissionID
        0x00380060,  # ServiceEpisodeID
        0x0040050A,  # SpecimenAccessionNumber
        0x00401101,  # PersonIdentificationCodeSequence (in case it is no sequence)
    ),
    "order": (
        0x00200010,  # StudyID
        0x00400009,  # ScheduledProcedureStepID
        0x00400253,  # PerformedProcedureStepID
        0x00400512,  # ContainerIdentifier
        0x00400551,  # SpecimenIdentifier
        0x00401001,  # RequestedProcedureID
        0x00402016,  # PlacerOrderNumberImagingServiceRequest
        0x00402017,  # FillerOrderNumberImagingServiceRequest
        0x00402006,  # PlacerOrderNumberImagingServiceRequestRetired
        0x00402007,  # FillerOrderNumberImagingServiceRequestRetired
        0x00741202,  # WorklistLabel
    ),
    "address": (
        0x00080092,  # ReferringPhysicianAddress
        0x00101040,  # PatientAddress
        0x00102152,  # RegionOfResidence
        0x00380300,  # CurrentPatientLocation
        0x00380400,  # PatientInstitutionResidence
        0x00401102,  # PersonAddress
    ),
    "phone": (
        0x00080094,  # ReferringPhysicianTelephoneNumbers
        0x00102154,  # PatientTelephoneNumbers
        0x00102155,  # PatientTelecomInformation
        0x00401103,  # PersonTelephoneNumbers
        0x00401104,  # PersonTelecomInformation
        0x00402010,  # OrderCallbackPhoneNumber
        0x00402011,  # OrderCallbackTelecomInformation
    ),
    "institution": (
        0x00080080,  # InstitutionName
        0x00080081,  # InstitutionAddress
        0x00081040,  # InstitutionalDepartmentName
        0x00100021,  # IssuerOfPatientID
        0x00102299,  # ResponsibleOrganization
        0x00120030,  # ClinicalTrialSiteID
        0x00120031,  # ClinicalTrialSiteName
        0x00120060,  # ClinicalTrialCoordinatingCenterName
        0x00321033,  # RequestingService
        0x00380011,  # IssuerOfAdmissionID
        0x00400243,  # PerformedLocation
        0x00402009,  # OrderEntererLocation
    ),
    "device": (
        0x00080054,  # RetrieveAETitle
        0x00080055,  # StationAETitle
        0x00081010,  # StationName
        0x00181000,  # DeviceSerialNumber
        0x00181003,  # DeviceID
        0x00181004,  # PlateID
        0x00181005,  # GeneratorID
        0x00181007,  # CassetteID
        0x00181008,  # GantryID
        0x00181009,  # UniqueDeviceIdentifier
        0x0018700A,  # DetectorID
        0x0018100B,  # ManufacturerDeviceClassUID
        0x00400001,  # ScheduledStationAETitle
        0x00321020,  # ScheduledStudyLocation
        0x00321021,  # ScheduledStudyLocationAETitle
        0x00400010,  # ScheduledStationName
        0x00400011,  # ScheduledProcedureStepLocation
        0x00400241,  # PerformedStationAETitle
        0x00400242,  # PerformedStationName
        0x300A00B2,  # TreatmentMachineName
    ),
}

#: UIDs of kinds of things: SOP classes, transfer syntaxes, coding schemes, context groups.
CLASS_UIDS = frozenset(
    (
        0x00080016,  # SOPClassUID
        0x0008001A,  # RelatedGeneralSOPClassUID
        0x0008001B,  # OriginalSpecializedSOPClassUID
        0x00080062,  # SOPClassesSupported
        0x0008010C,  # CodingSchemeUID
        0x00080117,  # ContextUID
        0x00080118,  # MappingResourceUID
        0x0008115A,  # SOPClassesInStudy
        0x00081150,  # ReferencedSOPClassUID
        0x00041510,  # ReferencedSOPClassUIDInFile
        0x00041512,  # ReferencedTransferSyntaxUIDInFile
        0x00083002,  # AvailableTransferSyntaxUID
    )
)
