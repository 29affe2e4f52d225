import { readFile, writeFile } from 'node:fs/promises'

// Linux counts CPU time in hundredths of a second towards programs, whatever the kernel's own tick is.
const TICKS_PER_SECOND = 100

export type Memory = { readonly nowBytes: number; readonly peakBytes: number }

/** Resident memory of a process, now and at its peak (VmRSS, VmHWM). */
export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1')
  return { nowBytes: kilobytes(status, 'VmRSS'), peakBytes: kilobytes(status, 'VmHWM') }
}

/** Lets the peak begin again at what the process has now. */
export async function resetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5')
}

/** Memory of a process in which pages shared with others count in proportion. */
export async function proportionalMemoryOf(pid: number): Promise<number> {
  return kilobytes(await readFile(`/proc/${pid}/smaps_rollup`, 'latin1'), 'Pss')
}

/** CPU seconds a process has used, together with the children it has waited for. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  // "pid (name) state …", where the name may hold blanks and brackets; user time is field 14 of the whole.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return ticks / TICKS_PER_SECOND
}

function kilobytes(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]
  if (found === undefined) throw new Error(`The kernel does not tell ${name} of the process.`)
  return Number(found) * 1024
}
