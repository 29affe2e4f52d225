import {
  type ConversionRecord,
  isWaiting,
  type KnownHost,
  shownOutcome,
  type TrainingRecord,
  trainingName,
} from '../../queue/index.js'

type Host = KnownHost & { readonly isAlive: boolean; readonly isDraining: boolean }

/** Why a training logs nothing now: what it waits for, or how far it is. One sentence. */
export function trainingSilence(training: TrainingRecord, hosts: readonly Host[]): string {
  const name = trainingName(training.order)
  const { trainer, outcome, state, hostId } = training
  if (outcome !== null) return `${name} has ended (${shownOutcome(training)}) and has no log.`
  if (!isWaiting(training) && hostId !== null) return `${name} has logged nothing yet: ${state} on ${hostId}.`
  const serving = hosts.filter(({ trainers }) => trainers.includes(trainer))
  return `${name} ${waitingFor(`trainings of ${trainer}`, serving)}`
}

/** As for trainings. */
export function conversionSilence({ id, order, state, hostId }: ConversionRecord, hosts: readonly Host[]): string {
  if (state === 'running') return `Conversion ${id} has logged nothing yet: running on ${hostId}.`
  if (state !== 'waiting') return `Conversion ${id} has ended (${state}) and has no log.`
  const serving = hosts.filter(({ converters }) => converters.includes(order.converter))
  // What hosts report as free are their places for trainings.
  if (serving.some(isTaking)) return `Conversion ${id} waits to be taken by a host.`
  return `Conversion ${id} ${waitingFor(`conversions of ${order.converter}`, serving)}`
}

function waitingFor(what: string, serving: readonly Host[]): string {
  const taking = serving.filter(isTaking)
  if (taking.length === 0) {
    return `waits for a host: none takes ${what} now; \`loopfleet hosts\` gives the reasons.`
  }
  const places = taking.map(({ hostId, free, places }) => `${hostId} has ${free} of ${places} places free`)
  return `waits for a free place: ${places.join(', ')}.`
}

function isTaking({ isAlive, isDraining }: Host): boolean {
  return isAlive && !isDraining
}
