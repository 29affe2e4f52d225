import { AnnotatorBusyError, InputGivenUpError } from './errors.js'

export type UserTurnsOptions<Input> = {
  /** Puts an input that still waits together with the one behind it; undefined when both are needed. */
  readonly merge: (earlier: Input, later: Input) => Input | undefined
  /** Inputs of one user that may wait. */
  readonly maxWaiting: number
}

/** Works on the inputs of each user one after the other, and on those of different users side by side. */
export type UserTurns<Input, Output> = {
  /**
   * Resolves with what the work answers. An input that was merged into a later one gets the answer of that one's work.
   * Rejects with LF_ANNOTATOR_BUSY when too many wait, and with LF_INPUT_GIVEN_UP after `giveUp`.
   */
  take(user: string, input: Input): Promise<Output>
  /** What of this user waits is dropped, and the signal of what runs is aborted; nobody waits for its end. */
  giveUp(user: string): void
  /** Gives all up and waits until nothing runs. */
  close(): Promise<void>
  readonly isBusy: (user: string) => boolean
}

type Asked<Output> = { readonly resolve: (answer: Output) => void; readonly reject: (reason: unknown) => void }
/** An input with all who wait for its answer: its sender, and those of the moves that were merged into it. */
type Waiting<Input, Output> = { input: Input; readonly asked: Asked<Output>[] }
type Line<Input, Output> = { readonly ending: AbortController; readonly waiting: Waiting<Input, Output>[] }

export function createUserTurns<Input, Output>(
  options: UserTurnsOptions<Input>,
  work: (user: string, input: Input, signal: AbortSignal) => Promise<Output>,
): UserTurns<Input, Output> {
  const lines = new Map<string, Line<Input, Output>>()
  const running = new Set<Promise<void>>()
  let isClosed = false

  async function runAll(user: string, line: Line<Input, Output>): Promise<void> {
    for (let next = line.waiting.shift(); next !== undefined; next = line.waiting.shift()) {
      const { asked } = next
      const giveUp = () => {
        for (const { reject } of asked) reject(line.ending.signal.reason)
      }
      line.ending.signal.addEventListener('abort', giveUp, { once: true })
      try {
        const answer = await work(user, next.input, line.ending.signal)
        for (const { resolve } of asked) resolve(answer)
      } catch (error) {
        for (const { reject } of asked) reject(error)
      } finally {
        line.ending.signal.removeEventListener('abort', giveUp)
      }
    }
    if (lines.get(user) === line) lines.delete(user)
  }

  function giveUp(user: string): void {
    const line = lines.get(user)
    if (line === undefined) return
    lines.delete(user) // whatever comes next does not wait for the work that is given up
    const reason = new InputGivenUpError()
    const dropped = line.waiting.splice(0)
    line.ending.abort(reason)
    for (const { reject } of dropped.flatMap(({ asked }) => asked)) reject(reason)
  }

  function wait(user: string, input: Input, asked: Asked<Output>): void {
    const known = lines.get(user)
    const last = known?.waiting.at(-1)
    const merged = last === undefined ? undefined : options.merge(last.input, input)
    if (last !== undefined && merged !== undefined) {
      last.input = merged
      last.asked.push(asked)
      return
    }
    if (known !== undefined && known.waiting.length >= options.maxWaiting) {
      throw new AnnotatorBusyError(options.maxWaiting)
    }
    const line = known ?? { ending: new AbortController(), waiting: [] }
    line.waiting.push({ input, asked: [asked] })
    if (known !== undefined) return
    lines.set(user, line)
    const turn = runAll(user, line).finally(() => running.delete(turn))
    running.add(turn)
  }

  return {
    take: (user, input) =>
      new Promise((resolve, reject) => {
        if (isClosed) throw new InputGivenUpError()
        wait(user, input, { resolve, reject })
      }),
    giveUp,
    async close() {
      isClosed = true
      for (const user of [...lines.keys()]) giveUp(user)
      await Promise.all(running)
    },
    isBusy: (user) => lines.has(user),
  }
}
