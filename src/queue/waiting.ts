import type { TrainingRecord } from './training-record.js'

type Host = { readonly isAlive: boolean; readonly isDraining: boolean; readonly trainers: readonly string[] }
type Waiting = Pick<TrainingRecord, 'life'>

/** No host has it. */
export function isWaiting({ life }: Waiting): boolean {
  return life === 'waiting'
}

/** Why nothing is worked on although there is work, if no host lives at all; one sentence. */
export function noHostSentence(unfinished: number, hosts: readonly Pick<Host, 'isAlive'>[]): string | undefined {
  if (unfinished === 0 || hosts.some(({ isAlive }) => isAlive)) return undefined
  return 'No host lives, so nothing is worked on: start a worker.'
}

/** It waits, and none of these hosts would take it: none serves its trainer, or those that do are offline or draining. */
export function isUnserved(training: Waiting & Pick<TrainingRecord, 'trainer'>, hosts: readonly Host[]): boolean {
  return (
    isWaiting(training) &&
    !hosts.some((host) => host.isAlive && !host.isDraining && host.trainers.includes(training.trainer))
  )
}
