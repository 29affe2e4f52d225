import { LoopfleetError } from '../../base/index.js'

/**
 * What this build reads and writes in Redis and in data folders. Raised by one when an older build could misread what
 * this one writes.
 */
export const PROTOCOL = 2

/** Builds with a lower number, or none, keep trainings elsewhere. */
const LEAST_BESIDE = 2

/** What an announcement of a host or node says of its build; builds before protocol numbers say nothing. */
export type AnnouncedPart = { readonly name: string; readonly protocol?: number }

/** A part of the fleet is of a build that cannot share Redis with this one. */
class FleetTooOldError extends LoopfleetError {
  static {
    this.prototype.name = 'FleetTooOldError'
  }
  constructor(names: readonly string[]) {
    super(
      'LF_FLEET_TOO_OLD',
      `Parts of an older version are still in the fleet (${names.join(', ')}); stop them, then start this one again.`,
      { details: { names } },
    )
  }
}

/**
 * Throws LF_FLEET_TOO_OLD if a living part is of a build that keeps trainings elsewhere. Parts of newer builds may be there:
 * we do not claim records that we cannot read.
 */
export function checkAnnounced(living: readonly AnnouncedPart[]): void {
  const old = living.filter(({ protocol = 0 }) => protocol < LEAST_BESIDE).map(({ name }) => name)
  if (old.length > 0) throw new FleetTooOldError(old)
}
