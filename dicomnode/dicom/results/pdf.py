"""The report page as Encapsulated PDF, for archives that file documents (PS3.3 A.45.1)."""

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from dicomnode.dicom.codes import REPORT_PAGE, code_item, private_scheme
from dicomnode.dicom.context import Context, stamp
from dicomnode.dicom.exam import Exam
from dicomnode.dicom.references import reference
from dicomnode.errors import OutputError

__all__ = ["encapsulated_pdf"]

TITLE = "AI report page, CEUS of the breast (research use)"


def encapsulated_pdf(exam: Exam, context: Context, document: bytes) -> Dataset:
    """Wrap a PDF file."""
    if not document.startswith(b"%PDF-"):
        raise OutputError(f"report: expected a PDF file, got {document[:8]!r}")
    dataset = Dataset()
    stamp(dataset, context, "pdf", EncapsulatedPDFStorage)
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = None
    dataset.BurnedInAnnotation = "NO"
    dataset.RecognizableVisualFeatures = "NO"
    dataset.SourceInstanceSequence = [reference(clip.header) for clip in exam.clips]
    dataset.DocumentTitle = TITLE
    dataset.ConceptNameCodeSequence = [code_item(REPORT_PAGE)]
    dataset.CodingSchemeIdentificationSequence = [private_scheme()]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(document)
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return dataset
