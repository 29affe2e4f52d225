import process from 'node:process'
import cliProgress from 'cli-progress'

/** Shows how a training goes: a bar on a terminal, a line per state elsewhere. Always on stderr. */
export type ProgressView = {
  say(line: string): void
  show(state: string, progress: number | null, note: string): void
  stop(): void
}

export function createProgressView(): ProgressView {
  return process.stderr.isTTY === true ? createBar() : createLines()
}

function createBar(): ProgressView {
  const bar = new cliProgress.SingleBar(
    {
      format: '  {bar} {percentage}%  {state} {note}',
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    cliProgress.Presets.shades_classic,
  )
  let isRunning = false
  const stop = () => {
    if (isRunning) bar.stop()
    isRunning = false
  }
  return {
    stop,
    say(line) {
      stop()
      process.stderr.write(`${line}\n`)
    },
    show(state, progress, note) {
      if (!isRunning) bar.start(100, 0, { state, note })
      isRunning = true
      bar.update(Math.round(100 * (progress ?? 0)), { state: state.replaceAll('_', ' '), note })
    },
  }
}

function createLines(): ProgressView {
  let last = ''
  return {
    stop: () => undefined,
    say: (line) => void process.stderr.write(`${line}\n`),
    show(state, progress, note) {
      const tenth = progress === null ? '' : ` ${Math.floor(progress * 10) * 10} %`
      const line = `  ${state.replaceAll('_', ' ')}${tenth}${note === '' ? '' : ` ${note}`}`
      if (line !== last) process.stderr.write(`${line}\n`)
      last = line
    },
  }
}
