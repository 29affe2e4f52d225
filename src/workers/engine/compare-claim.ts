import { RunSupersededError } from '../../base/abort-reasons.js'
import type { Claim } from '../../queue/records/leases.js'
import { RecordLostError } from '../../queue/records/record-errors.js'
import type { RunInRedis } from '../../queue/records/records.js'

/** What Redis has of a claim that the host works on. */
export async function compareClaim(records: { check(claim: Claim): Promise<void> }, claim: Claim): Promise<RunInRedis> {
  try {
    await records.check(claim)
    return { state: 'same', found: claim.run }
  } catch (error) {
    if (error instanceof RunSupersededError) return { state: 'newer', found: null }
    if (!(error instanceof RecordLostError)) throw error
    const { found } = error.details
    return { state: 'lost', found: typeof found === 'number' ? found : null }
  }
}
