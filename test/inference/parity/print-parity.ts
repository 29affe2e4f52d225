// Prints how detections compare with those of Ultralytics; `npm run parity`. Exits with 1 if they differ too much.
import process from 'node:process'
import { pixelsApart } from './compare-boxes.js'
import { type ParitySet, runParity } from './run-parity.js'

const MAX_CONFIDENCE_APART = 0.02

const { versions, sets } = await runParity()
const all = {
  name: 'all',
  images: 0,
  pairs: sets.flatMap(({ pairs }) => pairs),
  singles: sets.flatMap(({ singles }) => singles),
}
const rows = [...sets, { ...all, images: sets.reduce((sum, { images }) => sum + images, 0) }].map(rowOf)
const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
process.stdout.write(`loopfleet beside YOLO('model.onnx').predict (${named.join(', ')})\n`)
console.table(rows)
for (const { side, excuse, category, confidence } of all.singles) {
  process.stdout.write(`only ${side}: ${category} ${confidence.toFixed(3)}, ${excuse ?? 'without a reason'}\n`)
}
const isFar = all.pairs.some(({ ours, theirs }) => Math.abs(ours.confidence - theirs.confidence) > MAX_CONFIDENCE_APART)
process.exitCode = isFar || all.singles.some(({ excuse }) => excuse === undefined) ? 1 : 0

function rowOf({ name, images, pairs, singles }: ParitySet) {
  const most = (values: readonly number[]) => Math.max(0, ...values).toFixed(4)
  return {
    set: name,
    images,
    'matched boxes': pairs.length,
    'of 0.25…0.95': pairs.filter(({ theirs: { confidence } }) => confidence >= 0.25 && confidence <= 0.95).length,
    'most pixels apart': most(pairs.map(({ ours, theirs }) => pixelsApart(ours.box, theirs.box))),
    'most confidence apart': most(pairs.map(({ ours, theirs }) => Math.abs(ours.confidence - theirs.confidence))),
    'near the threshold': singles.filter(({ excuse }) => excuse === 'threshold').length,
    'near suppression': singles.filter(({ excuse }) => excuse === 'suppression').length,
    'without a reason': singles.filter(({ excuse }) => excuse === undefined).length,
  }
}
