// Prints what dcmjs reads of segmentations: sizes, labels, and each frame's pixels as base64.
import { readFileSync } from "node:fs";
import dcmjs from "dcmjs";

const { BitArray, DicomMessage, DicomMetaDictionary } = dcmjs.data;
dcmjs.log.setLevel("error");

function read(path) {
  const bytes = readFileSync(path);
  const { dict } = DicomMessage.readFile(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const dataset = DicomMetaDictionary.naturalizeDataset(dict);
  const pixels = BitArray.unpack(dataset.PixelData[0]);
  const size = dataset.Rows * dataset.Columns;
  const frames = [];
  for (let frame = 0; frame < dataset.NumberOfFrames; frame += 1) {
    const plane = pixels.subarray(frame * size, (frame + 1) * size);
    frames.push(Buffer.from(plane.map((value) => value / 255)).toString("base64"));
  }
  return {
    rows: dataset.Rows,
    columns: dataset.Columns,
    labels: [dataset.SegmentSequence].flat().map((segment) => segment.SegmentLabel),
    source_frames: [dataset.PerFrameFunctionalGroupsSequence]
      .flat()
      .map((group) => group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber),
    frames,
  };
}

console.log(JSON.stringify(process.argv.slice(2).map(read)));
