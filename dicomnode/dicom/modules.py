"""The attributes of the modules that a result copies unchanged from its source, by keyword."""

from collections.abc import Mapping

__all__ = ["ACQUISITION", "LOSSY", "PATIENT_AND_STUDY", "TYPE_2", "item_needs"]

PATIENT = """
    PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence TypeOfPatientID
    PatientBirthDate PatientBirthTime PatientSex OtherPatientIDs OtherPatientIDsSequence
    OtherPatientNames EthnicGroup PatientComments ReferencedPatientSequence QualityControlSubject
    PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription
    PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole
    ResponsibleOrganization PatientIdentityRemoved DeidentificationMethod
    DeidentificationMethodCodeSequence
"""
"""PS3.3 C.7.1.1."""

STUDY = """
    StudyInstanceUID StudyDate StudyTime StudyID StudyDescription AccessionNumber
    IssuerOfAccessionNumberSequence ReferringPhysicianName ReferringPhysicianIdentificationSequence
    ConsultingPhysicianName PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
    NameOfPhysiciansReadingStudy PhysiciansReadingStudyIdentificationSequence RequestingService
    ReferencedStudySequence ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence
"""
"""PS3.3 C.7.2.1."""

PATIENT_STUDY = """
    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize
    PatientWeight MedicalAlerts Allergies PregnancyStatus LastMenstrualDate Occupation SmokingStatus
    AdditionalPatientHistory AdmissionID IssuerOfAdmissionIDSequence PatientSexNeutered PatientState
"""
"""PS3.3 C.7.2.2."""

CLINICAL_TRIAL = """
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
    ClinicalTrialTimePointID ClinicalTrialTimePointDescription
    ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialProtocolEthicsCommitteeApprovalNumber
    ConsentForClinicalTrialUseSequence
"""
"""PS3.3 C.7.1.3 and C.7.2.3."""

HOW_TO_READ = "SpecificCharacterSet TimezoneOffsetFromUTC"
"""PS3.3 C.12.1: how the text and the times of all of the above are to be read."""

EMPTY_IF_MISSING = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber
    ReferringPhysicianName
"""

SCANNER = """
    Manufacturer InstitutionName InstitutionAddress StationName InstitutionalDepartmentName
    ManufacturerModelName DeviceSerialNumber SoftwareVersions
"""

PATIENT_AND_STUDY = (
    *PATIENT.split(),
    *STUDY.split(),
    *PATIENT_STUDY.split(),
    *CLINICAL_TRIAL.split(),
    *HOW_TO_READ.split(),
)
"""Copied unchanged from the source, so that a result files under its own patient and study."""

TYPE_2 = tuple(EMPTY_IF_MISSING.split())
"""Of these, the ones that must be present even when the source lacks them."""

LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
"""What a result made from compressed pixels repeats (PS3.3 C.7.6.1.1.5)."""

ACQUISITION = tuple(SCANNER.split())
"""Of the scanner, as an item of Contributing Equipment Sequence (PS3.3 C.12.1.1.5)."""

Needs = tuple[tuple[str, ...], ...]

CODE: Needs = (("CodeMeaning",), ("CodeValue", "LongCodeValue", "URNCodeValue"))
"""PS3.3 Table 8.8-1."""
REFERENCE: Needs = (("ReferencedSOPClassUID",), ("ReferencedSOPInstanceUID",))
"""PS3.3 Table 10-11."""
DESIGNATOR: Needs = (("LocalNamespaceEntityID", "UniversalEntityID"),)
"""PS3.3 Table 10-17."""
ITEM_NEEDS: Mapping[str, Needs] = {
    "ReferencedPatientSequence": REFERENCE,
    "ReferencedStudySequence": REFERENCE,
    "IssuerOfAccessionNumberSequence": DESIGNATOR,
    "IssuerOfAdmissionIDSequence": DESIGNATOR,
    "OtherPatientIDsSequence": (("PatientID",), ("TypeOfPatientID",)),
}


def item_needs(keyword: str) -> Needs:
    """Return the elements an item of this sequence must have: one of each tuple."""
    return CODE if keyword.endswith("CodeSequence") else ITEM_NEEDS.get(keyword, ())
