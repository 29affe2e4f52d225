import type { EffectKind } from '../../src/mock/loop/index.js'
import type { Fleet } from '../helpers/fleet.js'
import { until } from '../helpers/until.js'
import type { Cell, Fault } from './cells.js'
import { stageCases } from './stage-cases.js'

const FORMATS = ['mocked', 'mocked_converted']
const GONE_WITHIN_MS = 10_000

/** What is wrong with the latest training, which has ended; nothing when all is as it must be. */
export async function brokenInvariants(fleet: Fleet, cell: Cell, images: number): Promise<readonly string[]> {
  const problems: string[] = []
  const check = (isWell: boolean, problem: string) => {
    if (!isWell) problems.push(problem)
  }
  const { outcome, errors, models, points } = fleet.seen()
  const record = await fleet.record()
  check(outcome === 'completed', `the Loop takes the training for ${outcome}`)
  check(record.outcome === 'completed', `the journal takes it for ${record.outcome}`)
  check(Object.keys(errors).length === 0, `the Loop still shows the errors ${JSON.stringify(errors)}`)
  check(models.length === 1, `${models.length} models at the Loop`)
  const formats = [...(models[0]?.formats ?? [])].sort()
  check(formats.join() === FORMATS.join(), `the model has the formats ${formats.join(', ') || 'none'}`)
  check((record.trainImageCount ?? 0) + (record.testImageCount ?? 0) === images - 2, 'trained on a part of the images')
  check(record.skippedImageCount === 0, `${record.skippedImageCount} images were skipped`)
  const best = Math.max(...points.map(({ best_epoch }) => best_epoch ?? 0))
  check(points.at(-1)?.best_epoch === best && best > 0, 'the last point of the metrics is not that of the best model')

  const detections = fleet.detectionCounts()
  check(Object.keys(detections).length === images, `detections of ${Object.keys(detections).length} images`)
  problems.push(...repeats('detections', detections, cell))
  problems.push(...repeats('training-model', fleet.uploads(), cell))
  // An epoch that was trained again after a kill is a point of its own, with the same figures.
  if (!(await wasTrainedAgain(fleet))) problems.push(...repeats('metrics', metricsCounts(fleet), cell))

  const isQuiet = async () => (await fleet.programs()).length === 0
  await until('nothing lives', isQuiet, GONE_WITHIN_MS).catch(() => problems.push('a program lives on'))
  return problems
}

/** Once more than once is allowed for what was under way when an answer could get lost, and nothing else. */
function repeats(kind: EffectKind, counts: Readonly<Record<string, number>>, cell: Cell): string[] {
  const allowed = mayLoseAnswer(kind, cell) ? 2 : 1
  const tooOften = Object.entries(counts).filter(([, count]) => count > allowed)
  return tooOften.map(([key, count]) => `${kind} ${key} came ${count} times`)
}

const LOSES_ANSWERS: readonly Fault[] = [
  'worker-killed',
  'host-killed',
  'loop-away',
  'answer-lost',
  'answer-short',
  'answer-cut',
]

function mayLoseAnswer(kind: EffectKind, { stage, fault }: Cell): boolean {
  // Metrics go over the node's socket: its end, and that of the connection, loses their answers, too.
  const isOverSocket = kind === 'metrics' && (fault === 'node-killed' || fault === 'session-expired')
  if (isOverSocket) return stageCases[stage].effect === kind
  return stageCases[stage].effect === kind && LOSES_ANSWERS.includes(fault)
}

async function wasTrainedAgain(fleet: Fleet): Promise<boolean> {
  const lines = await fleet.journal.readLog((await fleet.record()).id)
  return lines.filter(({ text }) => text.startsWith('training program')).length > 1
}

function metricsCounts(fleet: Fleet): Record<string, number> {
  const key = `${fleet.organization}/${fleet.project}#${fleet.seen().number}`
  const counts: Record<string, number> = {}
  for (const effect of fleet.effects('metrics')) {
    if (effect.key === key) counts[effect.digest] = (counts[effect.digest] ?? 0) + 1
  }
  return counts
}
