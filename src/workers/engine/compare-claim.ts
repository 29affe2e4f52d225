import { RunSupersededError } from '../../base/index.js'
import { type Claim, RecordLostError, type RunInRedis } from '../../queue/index.js'

/** Compares a claim of this host with its record in Redis. */
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
