/** How a program ended, and what it printed last. */
export type ProgramEnd = {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly lastLogLines: readonly string[]
}

// CUDA, PyTorch, TensorFlow, Python, numpy, C++, malloc, and the kernel's own words.
export const OUT_OF_MEMORY =
  /out of memory|OutOfMemoryError|ResourceExhaustedError|\bMemoryError\b|Unable to allocate .*array|std::bad_alloc|Cannot allocate memory|Killed process|oom-kill/i

/** A SIGKILL that this host has not sent comes from the kernel, which frees memory; a shell around the program reports it as code 137. */
export function killedForMemory({ exitCode, signal }: Pick<ProgramEnd, 'exitCode' | 'signal'>): boolean {
  return signal === 'SIGKILL' || exitCode === 137
}

/** What we are given may be long, and the expression needs the square of that. */
const MAX_LINE = 2000

/** True when a program of its own accord ended for want of memory, of the machine or of its graphics card. */
export function looksOutOfMemory(end: ProgramEnd): boolean {
  return killedForMemory(end) || end.lastLogLines.some((line) => OUT_OF_MEMORY.test(line.slice(0, MAX_LINE)))
}
