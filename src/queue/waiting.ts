import type { TrainingRecord } from './training-record.js'

type Host = { readonly isAlive: boolean; readonly isDraining: boolean; readonly trainers: readonly string[] }
type Waiting = Pick<TrainingRecord, 'life'>

/** No host has it. */
export function isWaiting({ life }: Waiting): boolean {
  return life === 'waiting'
}

/** It waits, and none of these hosts would take it: none serves its trainer, or those that do are offline or draining. */
export function isUnserved(training: Waiting & Pick<TrainingRecord, 'trainer'>, hosts: readonly Host[]): boolean {
  return (
    isWaiting(training) &&
    !hosts.some((host) => host.isAlive && !host.isDraining && host.trainers.includes(training.trainer))
  )
}
