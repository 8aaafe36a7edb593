"""Objects of the planted-identity set that are no photographs: RT, SR, SEG, PR, KO, waveform."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from deid_proof.identities import Person, word
from deid_proof.images import CT
from deid_proof.modules import Uids, begin, image, noise, reference, study_day
from deid_proof.plants import Place, Plant

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
RTPLAN = "1.2.840.10008.5.1.4.1.1.481.5"
RTDOSE = "1.2.840.10008.5.1.4.1.1.481.2"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
PR = "1.2.840.10008.5.1.4.1.1.11.1"
WAVEFORM = "1.2.840.10008.5.1.4.1.1.9.1.1"
STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"


def ct_uid(person: Person, uids: Uids, first_serial: int, index: int = 0) -> str:
    """SOPInstanceUID of the patient's CT slice of that number."""
    return uids[f"{person.number}/0/CT/{first_serial + index}"]


def structure_set(
    person: Person, serial: int, plants: list[Plant], uids: Uids, first: int
) -> Place:
    """RT Structure Set of the CT series that starts at serial number ``first``."""
    place = begin(
        person, serial, plants, uids, sop_class=RTSTRUCT, modality="RTSTRUCT", kind="RS", study=0
    )
    place.plant("StructureSetLabel", word(300_000 + serial)[:16], "identity")
    place.plant(
        "StructureSetName", f"Plan of {person.family}", "identity", removed=(person.family,)
    )
    place.plant("StructureSetDate", study_day(person, 0).strftime("%Y%m%d"), "date")
    place.put("StructureSetTime", "101010")
    place.plant("FrameOfReferenceUID", uids[f"{person.number}/0/frame"], "uid")
    frame = place.item("ReferencedFrameOfReferenceSequence")
    frame.plant("FrameOfReferenceUID", uids[f"{person.number}/0/frame"], "uid")
    study = reference(
        frame, "RTReferencedStudySequence", STUDY_MANAGEMENT, uids[f"{person.number}/0"]
    )
    series = study.item("RTReferencedSeriesSequence")
    series.plant("SeriesInstanceUID", uids[f"{person.number}/0/CT"], "uid")
    for index in range(4):
        reference(series, "ContourImageSequence", CT, ct_uid(person, uids, first, index))
    for number, name in enumerate(("GTV", "Liver"), start=1):
        roi = place.item("StructureSetROISequence")
        roi.keep(ROINumber=str(number), ROIGenerationAlgorithm="MANUAL")
        roi.plant("ROIName", f"{name} {person.family}", "identity", removed=(person.family,))
        roi.plant("ReferencedFrameOfReferenceUID", uids[f"{person.number}/0/frame"], "uid")
        contours = place.item("ROIContourSequence")
        contours.keep(ReferencedROINumber=str(number), ROIDisplayColor=[255, 0, 0])
        for index in range(2):
            contour = contours.item("ContourSequence")
            contour.keep(
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints="3",
                ContourData=[0.5, 1.25, index * 5, 10.5, 1.25, index * 5, 4.5, 8.25, index * 5],
            )
            reference(contour, "ContourImageSequence", CT, ct_uid(person, uids, first, index))
        observation = place.item("RTROIObservationsSequence")
        observation.keep(
            ObservationNumber=str(number),
            ReferencedROINumber=str(number),
            RTROIInterpretedType="GTV",
        )
        observation.plant(
            "ROIInterpreter", "^".join(person.referring), "identity", removed=person.referring
        )
        observation.plant(
            "ROIObservationLabel", word(301_000 + serial * 2 + number)[:16], "identity"
        )
    return place


def plan(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """RT Plan that refers to the structure set."""
    place = begin(
        person, serial, plants, uids, sop_class=RTPLAN, modality="RTPLAN", kind="RP", study=0
    )
    place.plant("RTPlanLabel", word(302_000 + serial)[:16], "identity")
    place.plant("RTPlanName", f"{person.family} boost", "identity", removed=(person.family,))
    place.plant("RTPlanDate", (study_day(person, 0) + timedelta(days=4)).strftime("%Y%m%d"), "date")
    place.put("RTPlanTime", "1211")
    place.keep(RTPlanGeometry="PATIENT")
    reference(
        place,
        "ReferencedStructureSetSequence",
        RTSTRUCT,
        uids[f"{person.number}/0/RS/{serial - 1}"],
    )
    group = place.item("FractionGroupSequence")
    group.keep(
        FractionGroupNumber="1",
        NumberOfFractionsPlanned="25",
        NumberOfBeams="1",
        NumberOfBrachyApplicationSetups="0",
    )
    group.item("ReferencedBeamSequence").keep(ReferencedBeamNumber="1", BeamMeterset="104.5")
    beam = place.item("BeamSequence")
    beam.keep(
        BeamNumber="1",
        BeamType="STATIC",
        RadiationType="PHOTON",
        SourceAxisDistance="1000",
        TreatmentDeliveryType="TREATMENT",
        NumberOfControlPoints="1",
        NumberOfWedges="0",
        NumberOfCompensators="0",
        NumberOfBoli="0",
        NumberOfBlocks="0",
    )
    beam.plant("BeamDescription", f"for {person.family}", "identity", removed=(person.family,))
    point = beam.item("ControlPointSequence")
    point.keep(
        ControlPointIndex="0",
        NominalBeamEnergy="6",
        GantryAngle="90",
        IsocenterPosition=[1.5, -20.25, 33],
    )
    setup = place.item("PatientSetupSequence")
    setup.keep(PatientSetupNumber="1", PatientPosition="HFS")
    setup.plant(
        "SetupTechniqueDescription",
        f"as {person.given} likes",
        "identity",
        removed=(person.given.split()[0],),
    )
    place.keep(ApprovalStatus="APPROVED")
    place.plant("ReviewDate", study_day(person, 0).strftime("%Y%m%d"), "date")
    place.put("ReviewTime", "1400")
    place.plant("ReviewerName", "^".join(person.operator), "identity", removed=person.operator)
    return place


def dose(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """RT Dose that refers to the plan."""
    place = begin(
        person, serial, plants, uids, sop_class=RTDOSE, modality="RTDOSE", kind="RD", study=0
    )
    place.plant("FrameOfReferenceUID", uids[f"{person.number}/0/frame"], "uid")
    place.put("PositionReferenceIndicator", "")
    place.keep(
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-40, -40, 0],
        PixelSpacing=[5, 5],
        DoseUnits="GY",
        DoseType="PHYSICAL",
        DoseSummationType="PLAN",
        DoseGridScaling="0.000014",
        GridFrameOffsetVector=[0, 5, 10],
        FrameIncrementPointer=0x3004000C,
    )
    place.put("SliceThickness", "5")
    place.plant(
        "DoseComment",
        f"Shown to {word(303_000 + serial)}",
        "identity",
        removed=(word(303_000 + serial),),
    )
    reference(place, "ReferencedRTPlanSequence", RTPLAN, uids[f"{person.number}/0/RP/{serial - 1}"])
    image(place, noise((3, 12, 12), serial))
    return place


def segmentation(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """Segmentation of two CT slices."""
    place = begin(person, serial, plants, uids, sop_class=SEG, modality="SEG", kind="SEG", study=0)
    place.keep(
        ImageType=["DERIVED", "PRIMARY"],
        SegmentationType="BINARY",
        LossyImageCompression="00",
        ContentLabel="SEGMENTATION",
    )
    place.put("ContentDescription", "")
    place.plant(
        "ContentCreatorName", "^".join(person.operator), "identity", removed=person.operator
    )
    place.plant("FrameOfReferenceUID", uids[f"{person.number}/0/frame"], "uid")
    place.put("PositionReferenceIndicator", "")
    segment = place.item("SegmentSequence")
    segment.keep(SegmentNumber=1, SegmentLabel="Liver", SegmentAlgorithmType="MANUAL")
    segment.code(
        "SegmentedPropertyCategoryCodeSequence",
        "123037004",
        "SCT",
        "Anatomical Structure",
        keep=True,
    )
    segment.code("SegmentedPropertyTypeCodeSequence", "10200004", "SCT", "Liver", keep=True)
    segment.plant(
        "SegmentDescription",
        f"Drawn by {person.operator[0]}",
        "identity",
        removed=(person.operator[0],),
    )
    segment.plant("TrackingUID", uids[f"{person.number}/tracking"], "uid")
    segment.plant("TrackingID", f"Lesion of {person.family}", "identity", removed=(person.family,))
    organization = uids[f"{person.number}/dimension"]
    place.item("DimensionOrganizationSequence").plant(
        "DimensionOrganizationUID", organization, "uid"
    )
    dimension = place.item("DimensionIndexSequence")
    dimension.plant("DimensionOrganizationUID", organization, "uid")
    dimension.put("DimensionIndexPointer", 0x0062000B)
    dimension.put("FunctionalGroupPointer", 0x0062000A)
    shared = place.item("SharedFunctionalGroupsSequence")
    shared.item("PixelMeasuresSequence").keep(PixelSpacing=[0.78125, 0.78125], SliceThickness="5")
    shared.item("PlaneOrientationSequence").keep(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    for index in range(2):
        groups = place.item("PerFrameFunctionalGroupsSequence")
        groups.item("FrameContentSequence").keep(DimensionIndexValues=[1])
        groups.item("PlanePositionSequence").keep(ImagePositionPatient=[-160, -160, index * 5])
        groups.item("SegmentIdentificationSequence").keep(ReferencedSegmentNumber=1)
        derivation = groups.item("DerivationImageSequence")
        source = reference(
            derivation, "SourceImageSequence", CT, ct_uid(person, uids, first, index)
        )
        source.code(
            "PurposeOfReferenceCodeSequence",
            "121322",
            "DCM",
            "Source image for image processing operation",
            keep=True,
        )
    bits = np.packbits(noise((2, 32, 32), serial).ravel() > 600, bitorder="little")
    place.keep(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=32,
        Columns=32,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
        NumberOfFrames="2",
    )
    place.put("PixelData", bits.tobytes(), "OB")
    plants.append(Plant(serial, place.path("PixelData"), "OB", "pixels", ""))
    return place


def presentation(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """Grayscale Softcopy Presentation State with a text that names the patient."""
    place = begin(person, serial, plants, uids, sop_class=PR, modality="PR", kind="PR", study=0)
    place.keep(ContentLabel="ARROWS", PresentationLUTShape="IDENTITY")
    place.put("ContentDescription", "")
    place.plant("PresentationCreationDate", study_day(person, 0).strftime("%Y%m%d"), "date")
    place.put("PresentationCreationTime", "1501")
    place.plant(
        "ContentCreatorName", "^".join(person.operator), "identity", removed=person.operator
    )
    series = place.item("ReferencedSeriesSequence")
    series.plant("SeriesInstanceUID", uids[f"{person.number}/0/CT"], "uid")
    reference(series, "ReferencedImageSequence", CT, ct_uid(person, uids, first))
    area = place.item("DisplayedAreaSelectionSequence")
    area.keep(
        DisplayedAreaTopLeftHandCorner=[1, 1],
        DisplayedAreaBottomRightHandCorner=[32, 32],
        PresentationSizeMode="SCALE TO FIT",
        PresentationPixelAspectRatio=["1", "1"],
    )
    layer = place.item("GraphicLayerSequence")
    layer.put("GraphicLayer", "LAYER1")
    layer.put("GraphicLayerOrder", "1")
    note = place.item("GraphicAnnotationSequence")
    note.put("GraphicLayer", "LAYER1")
    text = note.item("TextObjectSequence")
    text.plant(
        "UnformattedTextValue",
        f"{person.family}, {person.given}: lesion",
        "identity",
        removed=(person.family, person.given.split()[0]),
    )
    text.put("BoundingBoxAnnotationUnits", "PIXEL")
    text.put("BoundingBoxTopLeftHandCorner", [2.0, 2.0])
    text.put("BoundingBoxBottomRightHandCorner", [30.0, 12.0])
    text.put("BoundingBoxTextHorizontalJustification", "LEFT")
    return place


def waveform(person: Person, serial: int, plants: list[Plant], uids: Uids, first: int) -> Place:
    """12-lead ECG Waveform with annotations that name people."""
    place = begin(
        person, serial, plants, uids, sop_class=WAVEFORM, modality="ECG", kind="ECG", study=1
    )
    place.plant("AcquisitionDateTime", study_day(person, 1).strftime("%Y%m%d") + "100000", "date")
    group = place.item("WaveformSequence")
    group.keep(
        WaveformOriginality="ORIGINAL",
        NumberOfWaveformChannels=1,
        NumberOfWaveformSamples=100,
        SamplingFrequency="500",
        WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
    )
    group.put("MultiplexGroupLabel", "RHYTHM")
    channel = group.item("ChannelDefinitionSequence")
    channel.keep(ChannelSensitivity="1.25", WaveformBitsStored=16, ChannelBaseline="0")
    channel.code("ChannelSourceSequence", "2:1", "MDC", "Lead I", keep=True)
    samples = (noise((100,), serial) - 500).astype("<i2").tobytes()
    group.put("WaveformData", samples, "OW")
    for index, name in enumerate((person.family, person.referring[0], person.operator[0])):
        note = place.item("WaveformAnnotationSequence")
        note.plant("UnformattedTextValue", f"sinus rhythm, {name}", "identity", removed=(name,))
        note.put("ReferencedWaveformChannels", [1, 1])
        note.put("AnnotationGroupNumber", index)
    return place
