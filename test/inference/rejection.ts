import { LoopfleetError } from '../../src/base/errors.js'

/** The LoopfleetError a promise rejects with; anything else fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<LoopfleetError> {
  const thrown = await promise.then(
    (value) => new Error(`It resolved with ${JSON.stringify(value)}.`),
    (reason: unknown) => reason,
  )
  if (thrown instanceof LoopfleetError) return thrown
  throw thrown
}
