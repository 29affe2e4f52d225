import type { TrainingRecord } from './training-record.js'

type Host = { readonly isAlive: boolean; readonly isDraining: boolean; readonly trainers: readonly string[] }

/** No host has taken it since it was ordered or retried. */
export function isWaiting({ endedAt, run }: Pick<TrainingRecord, 'endedAt' | 'run'>): boolean {
  return endedAt === null && run === 0
}

/** It waits, and none of these hosts would take it: none serves its trainer, or those that do are offline or draining. */
export function isUnserved(
  training: Pick<TrainingRecord, 'endedAt' | 'run' | 'trainer'>,
  hosts: readonly Host[],
): boolean {
  return (
    isWaiting(training) &&
    !hosts.some((host) => host.isAlive && !host.isDraining && host.trainers.includes(training.trainer))
  )
}
