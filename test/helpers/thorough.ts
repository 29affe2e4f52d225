import process from 'node:process'

/** Whether a slow suite runs (`npm run test:slow`), which does more often what `npm test` does a few times. */
export const isThorough = process.env.LOOPFLEET_TEST_THOROUGH === '1'

export function times(few: number, many: number): number {
  return isThorough ? many : few
}
