import process from 'node:process'

/**
 * What is printed may have no reader any more (`loopfleet up | head`, a terminal that was closed): parts work on
 * nevertheless, and no stack trace is printed about it.
 */
export function bearBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

/** A command that only shows something has nothing left to do when nobody reads it (`loopfleet trainings | head`). */
export function endWithTheReader(): void {
  process.stdout.once('error', () => process.exit(0))
}
