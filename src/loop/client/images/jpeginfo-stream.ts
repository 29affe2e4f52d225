import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { helperEnvironment } from '../../../base/index.js'
import { type Jpeginfo, MAX_JPEGINFO_RUNS, parseVerdicts } from './jpeginfo.js'

type Verdict = boolean | undefined
type Asked = { readonly name: string; readonly done: (verdict: Verdict) => void }

/** One running jpeginfo; it answers in the order in which it is asked. */
type Checker = {
  readonly waiting: number
  ask(asked: Asked): void
  end(): Promise<void>
}

type CheckerEvents = {
  readonly onVerdict: () => void
  /** It is gone, asked to or not, with these unanswered. */
  readonly onExit: (unanswered: readonly Asked[]) => void
}

// So many files in a row wait for one process before another is started beside it.
const BUSY = 8
const MAX_VAIN_STARTS = 3
const SILENCE_MS = 30_000

/**
 * A checker that names the folder's files to running programs one by one: each start would cost as much as ten images.
 * `stdbuf` makes them answer immediately. A file that a program dies over has no verdict; the others are asked again.
 */
export function createJpeginfoStream(folder: string): Jpeginfo {
  const checkers = new Set<Checker>()
  let vainStarts = 0
  let isEnded = false

  function ask(asked: Asked): void {
    if (isEnded || vainStarts >= MAX_VAIN_STARTS) asked.done(undefined)
    else leastBusy().ask(asked)
  }

  function leastBusy(): Checker {
    const [least] = [...checkers].sort((a, b) => a.waiting - b.waiting)
    return least !== undefined && (least.waiting < BUSY || checkers.size >= MAX_JPEGINFO_RUNS) ? least : start()
  }

  function start(): Checker {
    vainStarts += 1
    const checker = startChecker(folder, {
      onVerdict: () => {
        vainStarts = 0
      },
      onExit: ([suspect, ...others]) => {
        checkers.delete(checker)
        suspect?.done(undefined)
        others.forEach(ask)
      },
    })
    checkers.add(checker)
    return checker
  }

  start() // its start-up passes while the first images are on their way
  return {
    check: (name) => new Promise((done) => ask({ name, done })),
    async end() {
      isEnded = true
      await Promise.all([...checkers].map((checker) => checker.end()))
    },
  }
}

function startChecker(folder: string, events: CheckerEvents): Checker {
  const waiting: Asked[] = []
  const child = spawn('stdbuf', ['-oL', 'jpeginfo', '-c', '-f', '-'], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: helperEnvironment(),
  })
  child.stdin.on('error', () => undefined) // the process has ended, which its exit reports
  let silence: NodeJS.Timeout | undefined
  createInterface({ input: child.stdout }).on('line', (line) => {
    for (const [name, verdict] of parseVerdicts(line)) answer(name, verdict)
  })
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve()).once('error', () => resolve())
  }).then(() => {
    clearTimeout(silence)
    events.onExit(waiting.splice(0))
  })

  function answer(name: string, verdict: boolean): void {
    const at = waiting.findIndex((asked) => asked.name === name)
    if (at === -1) return
    events.onVerdict()
    // What it passed over in silence it will not speak of any more.
    for (const asked of waiting.splice(0, at + 1)) asked.done(asked.name === name ? verdict : undefined)
    if (waiting.length === 0) clearTimeout(silence)
    else silence?.refresh()
  }

  return {
    get waiting() {
      return waiting.length
    },
    ask(asked) {
      if (waiting.length === 0) {
        clearTimeout(silence)
        silence = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS)
      }
      waiting.push(asked)
      child.stdin.write(`${asked.name}\n`)
    },
    end() {
      if (waiting.length > 0) child.kill('SIGKILL')
      child.stdin.end()
      return gone
    },
  }
}
