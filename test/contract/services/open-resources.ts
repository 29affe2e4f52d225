import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import { findOpenThings } from '../../helpers/open-things.js'

/** What one service has opened and not closed yet, each with a sentence part that names it. */
export type OpenResources = {
  /** Runs `work`; timers that it makes, also later and in callbacks, are counted. */
  watch<T>(work: () => Promise<T>): Promise<T>
  /** What is open now and was not before `watch`. */
  left(): string[]
  close(): void
}

type Timer = { readonly _onTimeout?: unknown; readonly _destroyed?: boolean }

/**
 * Counts children, servers, connections and threads of this process, and the timers of the work that is watched: those
 * that keep the process alive and those that do not.
 */
export function watchOpenResources(): OpenResources {
  const before = new Set(findOpenThings().keys())
  const timers = new Map<Timer, string>()
  const watched = new AsyncLocalStorage<true>()
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      if (type !== 'Timeout' || watched.getStore() !== true) return
      const place = placeOf(new Error().stack ?? '')
      if (place !== undefined) timers.set(resource, place)
    },
  }).enable()

  return {
    watch: (work) => watched.run(true, work),
    left() {
      const things = [...findOpenThings()].filter(([key]) => !before.has(key)).map(([, sentence]) => sentence)
      const running = [...timers].filter(([timer]) => timer._destroyed !== true && timer._onTimeout !== null)
      return [...things, ...running.map(([, place]) => `a timer made in ${place}`)]
    },
    close: () => void hook.disable(),
  }
}

/** The results of jobs, kept for some seconds by the queues, which all services share. */
const OF_ALL = 'src/queue/jobs/local-events.js'

/** The first line of ours below the timer's own; undefined for timers of libraries, of Node, and of what all share. */
function placeOf(stack: string): string | undefined {
  const place = /dist\/(src\/\S+?:\d+)/.exec(stack)?.[1]
  return place?.startsWith(OF_ALL) === true ? undefined : place
}
