"""Images of the planted-identity set: CT, MR, US, CR, secondary capture, enhanced CT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deid_proof.annex_values import day
from deid_proof.identities import Person
from deid_proof.modules import Uids, begin, free_date, image, noise, plane, study_day
from deid_proof.plants import Place, Plant

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
CR = "1.2.840.10008.5.1.4.1.1.1"
US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
SC = "1.2.840.10008.5.1.4.1.1.7"

Builder = Callable[[Person, int, "list[Plant]", Uids, int], Place]


def ct(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """CT Image."""
    place = begin(person, serial, plants, uids, sop_class=CT, modality="CT", kind="CT", study=0)
    place.keep(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], KVP="120", PatientPosition="HFS")
    place.keep(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
    place.keep(BodyPartExamined="ABDOMEN", ConvolutionKernel="STANDARD", XRayTubeCurrent="210")
    place.keep(ScanOptions="HELICAL MODE", WindowCenter="40", WindowWidth="400")
    place.put("AcquisitionNumber", "1")
    place.plant("AcquisitionDate", study_day(person, 0).strftime("%Y%m%d"), "date")
    place.plant(
        "AcquisitionDateTime", study_day(person, 0).strftime("%Y%m%d") + "091533.120000", "date"
    )
    plane(place, uids, person, 0, index)
    place.code("AnatomicRegionSequence", "113345001", "SCT", "Abdomen", keep=True)
    image(place, noise((32, 32), serial))
    return place


def mr(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """MR Image."""
    place = begin(person, serial, plants, uids, sop_class=MR, modality="MR", kind="MR", study=1)
    place.keep(ImageType=["ORIGINAL", "PRIMARY", "M", "ND"], PatientPosition="HFS")
    place.keep(ScanningSequence="SE", SequenceVariant="SK", MRAcquisitionType="2D")
    place.keep(ScanOptions="FS", EchoTime="8.4", RepetitionTime="520", EchoTrainLength="1")
    place.keep(MagneticFieldStrength="3", FlipAngle="90", BodyPartExamined="BRAIN")
    place.keep(SequenceName="*se2d1", ImagedNucleus="1H")
    plane(place, uids, person, 1, index)
    image(place, noise((24, 32), serial))
    return place


def us(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """Ultrasound Multi-frame Image without text in its pixels."""
    place = begin(
        person, serial, plants, uids, sop_class=US_MULTIFRAME, modality="US", kind="US", study=1
    )
    place.keep(ImageType=["ORIGINAL", "PRIMARY", "", "0001"], BurnedInAnnotation="NO")
    place.keep(LossyImageCompression="00", FrameTime="33.3", TransducerData=["C5-1", "", ""])
    place.put("FrameIncrementPointer", 0x00181063)
    region = place.item("SequenceOfUltrasoundRegions")
    region.keep(
        RegionSpatialFormat=1,
        RegionDataType=1,
        RegionFlags=0,
        RegionLocationMinX0=0,
        RegionLocationMinY0=0,
        RegionLocationMaxX1=31,
        RegionLocationMaxY1=31,
        PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=0.05,
        PhysicalDeltaY=0.05,
    )
    pixels = (noise((3, 32, 32, 3), serial) // 8).astype(np.uint8)
    image(place, pixels, color=True, allocated=8)
    return place


def cr(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """Computed Radiography Image."""
    place = begin(person, serial, plants, uids, sop_class=CR, modality="CR", kind="CR", study=0)
    place.keep(ImageType=["ORIGINAL", "PRIMARY"], BodyPartExamined="CHEST", ViewPosition="PA")
    place.keep(KVP="117", Exposure="3", ImagerPixelSpacing=[0.1, 0.1], BurnedInAnnotation="NO")
    place.plant(
        "DateOfLastCalibration",
        free_date(person, index + 5),
        "annex",
        basic="X",
        options={"retain-device-identity": "K", "retain-modified-dates": "C"},
    )
    place.put("PatientOrientation", ["L", "F"])
    image(place, noise((40, 36), serial))
    return place


def sc(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """Secondary Capture Image of a plain surface."""
    place = begin(person, serial, plants, uids, sop_class=SC, modality="OT", kind="SC", study=0)
    place.keep(ImageType=["DERIVED", "SECONDARY"], ConversionType="WSD", BurnedInAnnotation="NO")
    place.plant("DateOfSecondaryCapture", free_date(person, 3), "date")
    place.put("PatientOrientation", "")
    image(place, np.full((32, 32), 77, np.uint8), allocated=8)
    return place


def enhanced(person: Person, serial: int, plants: list[Plant], uids: Uids, index: int) -> Place:
    """Enhanced CT: shared and per-frame functional groups, dimensions, dates in every frame."""
    place = begin(
        person, serial, plants, uids, sop_class=ENHANCED_CT, modality="CT", kind="ECT", study=0
    )
    place.keep(ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME")
    place.keep(VolumetricProperties="VOLUME", ContentQualification="PRODUCT")
    place.keep(VolumeBasedCalculationTechnique="NONE", PresentationLUTShape="IDENTITY")
    place.keep(BurnedInAnnotation="NO", LossyImageCompression="00", PatientPosition="HFS")
    place.plant("FrameOfReferenceUID", uids[f"{person.number}/0/frame"], "uid")
    place.put("PositionReferenceIndicator", "")
    place.plant("AcquisitionDateTime", study_day(person, 0).strftime("%Y%m%d") + "091533", "date")
    organization = uids[f"{person.number}/dimension"]
    place.item("DimensionOrganizationSequence").plant(
        "DimensionOrganizationUID", organization, "uid"
    )
    dimension = place.item("DimensionIndexSequence")
    dimension.plant("DimensionOrganizationUID", organization, "uid")
    dimension.put("DimensionIndexPointer", 0x00200032)
    dimension.put("FunctionalGroupPointer", 0x00209113)
    shared = place.item("SharedFunctionalGroupsSequence")
    shared.item("PixelMeasuresSequence").keep(PixelSpacing=[0.7, 0.7], SliceThickness="5")
    shared.item("PlaneOrientationSequence").keep(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    anatomy = shared.item("FrameAnatomySequence")
    anatomy.keep(FrameLaterality="U")
    anatomy.code("AnatomicRegionSequence", "113345001", "SCT", "Abdomen", keep=True)
    for frame in range(3):
        groups = place.item("PerFrameFunctionalGroupsSequence")
        content = groups.item("FrameContentSequence")
        content.keep(DimensionIndexValues=frame + 1, FrameAcquisitionNumber=1)
        stamp = day(person, frame).strftime("%Y%m%d") + f"09153{frame}"
        content.plant("FrameAcquisitionDateTime", stamp, "date")
        content.plant("FrameReferenceDateTime", stamp, "date")
        content.plant(
            "FrameComments", f"Frame of {person.family}", "identity", removed=(person.family,)
        )
        groups.item("PlanePositionSequence").keep(ImagePositionPatient=[-80, -80, frame * 5])
    image(place, noise((3, 16, 16), serial))
    return place
