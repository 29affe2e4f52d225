import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'

/** Everything of this process that should have been closed, each with a sentence part that names it. */
export type OpenThings = ReadonlyMap<string, string>

const workers = new Set<Worker>()

/** From now on the threads are seen that are started; the kernel does not tell them from Node's own. */
export function watchWorkers(): void {
  process.on('worker', (worker) => {
    workers.add(worker)
    worker.once('exit', () => workers.delete(worker))
  })
}

/** Children, listening sockets, connections that keep the process alive, and threads. */
export function findOpenThings(): OpenThings {
  return new Map([...children(), ...listeners(), ...connections(), ...threads()])
}

function* children(): Generator<[string, string]> {
  for (const task of namesIn('/proc/self/task')) {
    for (const pid of textOf(`/proc/self/task/${task}/children`).split(' ').filter(Boolean)) {
      const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
      if (command.includes('esbuild')) continue // the compiler behind tsx, which outlives the tests
      yield [`child ${pid}`, `the child process ${pid} (${command || 'ended, but not fetched'})`]
    }
  }
}

/** The kernel takes milliseconds for its tables of sockets, so what they have said of one is kept for as long as it is open. */
const listening = new Map<string, string>()
const readings = new Map<string, number>()
/** A thread may have made a socket and not yet listened on it: it is read once more. */
const READINGS = 2

function* listeners(): Generator<[string, string]> {
  const inodes = new Set<string>()
  for (const fd of namesIn('/proc/self/fd')) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/self/fd/${fd}`))?.[1]
    if (inode !== undefined) inodes.add(inode)
  }
  for (const kept of [listening, readings]) {
    for (const inode of kept.keys()) if (!inodes.has(inode)) kept.delete(inode)
  }
  const isUnknown = (inode: string) => !listening.has(inode) && (readings.get(inode) ?? 0) < READINGS
  if ([...inodes].some(isUnknown)) {
    for (const [inode, sentence] of readTables()) if (inodes.has(inode)) listening.set(inode, sentence)
    for (const inode of inodes) readings.set(inode, (readings.get(inode) ?? 0) + 1)
  }
  for (const [inode, sentence] of listening) yield [`listener ${inode}`, sentence]
}

/** The inodes of all sockets on this machine that listen. */
function* readTables(): Generator<[string, string]> {
  for (const table of ['tcp', 'tcp6']) {
    for (const row of textOf(`/proc/self/net/${table}`).split('\n').slice(1)) {
      const [, address = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/)
      const port = Number.parseInt(address.split(':')[1] ?? '', 16)
      if (state === LISTENS) yield [inode, `a server on port ${port}`]
    }
  }
  for (const row of textOf('/proc/self/net/unix').split('\n').slice(1)) {
    const [, , , flags, , , inode = '', path] = row.trim().split(/\s+/)
    if (flags === ACCEPTS) yield [inode, `a server on ${path ?? 'a socket'}`]
  }
}

const LISTENS = '0A'
const ACCEPTS = '00010000'

/** Only those that keep the process alive: idle ones of a keep-alive agent do not. */
function* connections(): Generator<[string, string]> {
  const names: Record<string, string> = {
    TCPSocketWrap: 'an open connection',
    PipeWrap: 'an open pipe or unix socket, as of a Redis client',
    ProcessWrap: 'a watched child process',
  }
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    const name = names[kind]
    if (name !== undefined) yield [`${kind} ${count}`, name]
  }
}

function* threads(): Generator<[string, string]> {
  for (const { threadId } of workers) yield [`thread ${threadId}`, `the worker thread ${threadId}`]
}

function namesIn(folder: string): string[] {
  return orNothing(() => readdirSync(folder)) ?? []
}

function textOf(path: string): string {
  return orNothing(() => readFileSync(path, 'latin1')) ?? ''
}

function linkOf(path: string): string {
  return orNothing(() => readlinkSync(path)) ?? ''
}

/** What ends while we look is not open any more. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
