"""The EXIF and XMP fields that are kept when private data is removed.

Both lists are allowlists, since nobody can enumerate all the fields in which programs and cameras store a location, a
serial number or a name. Kept are how and when the picture was taken, what it is called, how it is to be displayed, and
its copyright notice, which is there to be read. Comments and keywords are not: programs fill them with places and
people. The two lists agree, each in its own terms (EXIF 3.0; XMP parts 1 and 2, EXIF for XMP, IPTC, PLUS).
"""

from __future__ import annotations

KEPT_IMAGE_TAGS = frozenset(
    {
        *(0x0100, 0x0101, 0x0112),  # ImageWidth, ImageLength, Orientation
        *(0x011A, 0x011B, 0x0128),  # XResolution, YResolution, ResolutionUnit
        *(0x013E, 0x013F, 0x0211, 0x0213, 0x0214),  # WhitePoint, PrimaryChromaticities, the YCbCr tags
        *(0x010F, 0x0110, 0x0131, 0x0132),  # Make, Model, Software, DateTime
        *(0x010E, 0x8298, 0x9C9B, 0x9C9F),  # ImageDescription, Copyright, XPTitle, XPSubject
        *(0x4746, 0x4749),  # Rating, RatingPercent
    }
)
"""Tags of the first directory of an EXIF block."""

KEPT_EXIF_TAGS = frozenset(
    {
        *(0x829A, 0x829D, 0x8822, 0x8824, 0x8827, 0x8828),  # ExposureTime to OECF
        *range(0x8830, 0x8836),  # SensitivityType to ISOSpeedLatitudezzz
        *(0x9000, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012),  # ExifVersion, dates and their offsets from UTC
        *(0x9101, 0x9102),  # ComponentsConfiguration, CompressedBitsPerPixel
        *range(0x9201, 0x920B),  # ShutterSpeedValue to FocalLength
        *(0x9214, 0x9290, 0x9291, 0x9292),  # SubjectArea, the SubSecTime tags
        *(0xA000, 0xA001, 0xA002, 0xA003),  # FlashpixVersion, ColorSpace, PixelXDimension, PixelYDimension
        *(0xA20B, 0xA20C, 0xA20E, 0xA20F, 0xA210, 0xA214, 0xA215, 0xA217),  # FlashEnergy to SensingMethod
        *(0xA300, 0xA301, 0xA302),  # FileSource, SceneType, CFAPattern
        *range(0xA401, 0xA40B),  # CustomRendered to Sharpness
        *(0xA40C, 0xA432, 0xA433, 0xA434),  # SubjectDistanceRange, LensSpecification, LensMake, LensModel
        *(0xA436, *range(0xA439, 0xA43D)),  # ImageTitle, CameraFirmware and the software tags
        *(0xA460, 0xA461, 0xA462, 0xA500),  # CompositeImage and its source images, Gamma
    }
)
"""Tags of the directory that pointer 0x8769 leads to."""

KEPT_INTEROP_TAGS = frozenset({0x0001, 0x0002, 0x1000, 0x1001, 0x1002})
"""Tags of the directory that pointer 0xA005 leads to: its version, and the format and size of the main picture."""

_KEPT_PROPERTIES = {
    # The structure of every packet and of the lists and alternatives in it.
    "adobe:ns:meta/": "xmpmeta xapmeta xmptk",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": (
        "RDF Description about Alt Bag Seq li value resource parseType datatype"
    ),
    "http://www.w3.org/XML/1998/namespace": "lang space",
    "http://purl.org/dc/elements/1.1/": "title description rights format type language date",
    "http://ns.adobe.com/xap/1.0/": "CreateDate ModifyDate MetadataDate CreatorTool Rating Label",
    "http://ns.adobe.com/xap/1.0/rights/": "Marked UsageTerms WebStatement",
    "http://creativecommons.org/ns#": "license",
    "http://ns.useplus.org/ldf/xmp/1.0/": "DataMining",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "DigitalSourceType",  # for instance that a picture was generated
    "http://ns.adobe.com/photoshop/1.0/": "ColorMode ICCProfile DateCreated Headline",
    "http://ns.microsoft.com/photo/1.0/": "Rating",
    "http://ns.adobe.com/tiff/1.0/": (
        "ImageWidth ImageLength BitsPerSample Compression PhotometricInterpretation Orientation SamplesPerPixel"
        " PlanarConfiguration YCbCrSubSampling YCbCrPositioning XResolution YResolution ResolutionUnit"
        " TransferFunction WhitePoint PrimaryChromaticities YCbCrCoefficients ReferenceBlackWhite"
        " DateTime ImageDescription Make Model Software Copyright"
    ),
    "http://ns.adobe.com/exif/1.0/": (
        "ExifVersion FlashpixVersion ColorSpace ComponentsConfiguration CompressedBitsPerPixel PixelXDimension"
        " PixelYDimension DateTimeOriginal DateTimeDigitized ExposureTime FNumber ExposureProgram"
        " SpectralSensitivity ISOSpeedRatings OECF ShutterSpeedValue ApertureValue BrightnessValue"
        " ExposureBiasValue MaxApertureValue SubjectDistance MeteringMode LightSource Flash FocalLength SubjectArea"
        " FlashEnergy SpatialFrequencyResponse FocalPlaneXResolution FocalPlaneYResolution"
        " FocalPlaneResolutionUnit SubjectLocation ExposureIndex SensingMethod FileSource SceneType CFAPattern"
        " CustomRendered ExposureMode WhiteBalance DigitalZoomRatio FocalLengthIn35mmFilm SceneCaptureType"
        " GainControl Contrast Saturation Sharpness SubjectDistanceRange"
        # Fields of Flash, OECF and CFAPattern.
        " Fired Return Mode Function RedEyeMode Columns Rows Names Values"
    ),
    "http://cipa.jp/exif/1.0/": (
        "Gamma PhotographicSensitivity SensitivityType StandardOutputSensitivity RecommendedExposureIndex ISOSpeed"
        " ISOSpeedLatitudeyyy ISOSpeedLatitudezzz InteroperabilityIndex LensSpecification LensMake LensModel"
        " ImageTitle CameraFirmware RAWDevelopingSoftware ImageEditingSoftware MetadataEditingSoftware"
        " CompositeImage SourceImageNumberOfCompositeImage SourceExposureTimesOfCompositeImage"
        " OffsetTime OffsetTimeOriginal OffsetTimeDigitized"
    ),
    "http://ns.adobe.com/exif/1.0/aux/": "Lens LensID LensInfo FlashCompensation Firmware ApproximateFocusDistance",
    # How a panorama is to be displayed, but not which way it faces.
    "http://ns.google.com/photos/1.0/panorama/": (
        "ProjectionType UsePanoramaViewer CroppedAreaImageWidthPixels CroppedAreaImageHeightPixels"
        " FullPanoWidthPixels FullPanoHeightPixels CroppedAreaLeftPixels CroppedAreaTopPixels"
    ),
}
_NAMESPACE_DECLARATIONS = "http://www.w3.org/2000/xmlns/"
_KEPT_NAMES = frozenset((space, name) for space, names in _KEPT_PROPERTIES.items() for name in names.split())


def is_kept_in_xmp(space: str, name: str) -> bool:
    """Whether an element or attribute of an XMP packet, by namespace and local name, holds nothing private."""
    return (space, name) in _KEPT_NAMES or space == _NAMESPACE_DECLARATIONS
