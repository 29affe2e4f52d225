import { InvalidInputError } from '../../base/index.js'

/** The steps of a training, in the order in which they are shown; each is a BullMQ job. */
export const stages = [
  'download-data',
  'download-model',
  'train',
  'sync-metrics',
  'convert',
  'upload-model',
  'detect',
  'upload-detections',
  'cleanup',
] as const
export type Stage = (typeof stages)[number]

/** The kinds of work a host has a queue for; concurrency per kind is a setting. */
export const workKinds = ['download', 'train', 'convert', 'upload', 'detect'] as const
export type WorkKind = (typeof workKinds)[number]

/** The queues by what they are for; a name that cannot stand in a Redis key is refused with a sentence. */
export const queueNames = {
  host: (hostId: string, kind: WorkKind): string => `${checkHostId(hostId)}.${kind}`,
  node: (uuid: string): string => `node.${checkName('Node', uuid)}`,
  /** The steps of the conversions that the host has claimed. */
  conversions: (hostId: string): string => `${checkHostId(hostId)}.conversions`,
  /** When to look for models that this converter has to convert. */
  scans: (converter: string): string => `scans.${checkName('Converter', converter)}`,
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

function checkName(what: string, name: string): string {
  if (NAME.test(name)) return name
  throw new InvalidInputError(
    `${what} name ${JSON.stringify(name)} cannot name a queue; use up to 128 letters, digits, dots, dashes and underscores.`,
    { details: { name } },
  )
}

// A host called "trainings" or "node" would share its queues with trainers or seats, one called "redis" its owner mark
// with the embedded server.
const RESERVED = new Set(['trainings', 'node', 'conversions', 'scans', 'redis'])

function checkHostId(hostId: string): string {
  if (RESERVED.has(hostId)) throw new InvalidInputError(`Host name "${hostId}" is reserved; give the host another one.`)
  return checkName('Host', hostId)
}
