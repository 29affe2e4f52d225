import { setTimeout as sleep } from 'node:timers/promises'
import { findOpenThings, type OpenThings, watchWorkers } from './open-things.js'

const SETTLE_MS = 3000
const LOOK_EVERY_MS = 50

/** What is open when nobody is to blame; grows with what was already reported. */
const known = new Set<string>()

/**
 * Mocha root hooks that fail each test file which leaves a child process, a server, a connection or a thread behind.
 * The check runs as the last `after` of every outermost suite, when its own hooks have closed what they opened.
 */
export const mochaHooks: Mocha.RootHookObject = {
  beforeAll(this: Mocha.Context): void {
    watchWorkers()
    for (const key of findOpenThings().keys()) known.add(key)
    for (const suite of this.test?.parent?.suites ?? []) suite.afterAll('leaves nothing behind', assertNothingLeft)
  },
}

async function assertNothingLeft(this: Mocha.Context): Promise<void> {
  this.timeout(SETTLE_MS * 2)
  const giveUpAt = performance.now() + SETTLE_MS
  let left = findLeft()
  while (left.size > 0 && performance.now() < giveUpAt) {
    await sleep(LOOK_EVERY_MS)
    left = findLeft()
  }
  if (left.size === 0) return
  for (const key of left.keys()) known.add(key) // or every later file would be blamed
  throw new Error(`Left behind: ${[...left.values()].join('; ')}.`)
}

function findLeft(): OpenThings {
  return new Map([...findOpenThings()].filter(([key]) => !known.has(key)))
}
