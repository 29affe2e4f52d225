import type { TrainingRecord } from './training-record.js'

/** No host has it. */
export function isWaiting({ life }: Pick<TrainingRecord, 'life'>): boolean {
  return life === 'waiting'
}

export const NO_HOST = 'No host lives, so nothing is worked on: start a worker.'

/** Why nothing is worked on although there is work, if no host lives at all; one sentence. */
export function noHostSentence(
  unfinished: number,
  hosts: readonly { readonly isAlive: boolean }[],
): string | undefined {
  return unfinished === 0 || hosts.some(({ isAlive }) => isAlive) ? undefined : NO_HOST
}
