import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pythonEnvironment } from '../../test/helpers/python-environment.js'
import { basicEnvironment, type MeasuredChild, startMeasured } from './measured-child.js'

const NEWEST = '0.27.0'
export type LibraryVersion = '0.8.2' | typeof NEWEST
export const LIBRARY = nameOf(NEWEST)

export function nameOf(version: LibraryVersion): string {
  return `learning_loop_node ${version}`
}

/** The interpreter that has the Python library as published; installed on first use. */
export function interpreterOf(version: LibraryVersion): Promise<string> {
  const file = `requirements-${version === NEWEST ? 'newest' : version}.txt`
  return pythonEnvironment(nameOf(version), new URL(`../../test/contract/python-nodes/${file}`, import.meta.url))
}

/** Starts a program of bench/python that does tasks with the library. */
export async function startLibrary(script: string, options: LibraryOptions): Promise<MeasuredChild> {
  mkdirSync(options.dataFolder, { recursive: true })
  const command: [string, ...string[]] = [await interpreterOf(NEWEST), pathOf(script)]
  return startMeasured({ command, env: environment(options), cwd: options.dataFolder })
}

export type LibraryOptions = {
  readonly dataFolder: string
  /** Host and port of the Loop. */
  readonly host: string
  readonly env?: Readonly<Record<string, string>>
}

export type LibraryNode = {
  readonly pid: number
  log(): Promise<string>
  end(): Promise<void>
}

/** Starts a node of bench/python; it has an HTTP server on a socket file, so that it takes nobody's port. */
export async function startLibraryNode(script: string, options: LibraryOptions): Promise<LibraryNode> {
  mkdirSync(options.dataFolder, { recursive: true })
  const logFile = join(options.dataFolder, 'node.log')
  const output = openSync(logFile, 'w')
  const env = environment(options)
  const interpreter = await interpreterOf(NEWEST)
  const child = spawn(interpreter, [pathOf(script)], {
    env,
    cwd: options.dataFolder,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  return { pid: child.pid ?? 0, log: () => readFile(logFile, 'utf8'), end: () => end(child) }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000)
  await once(child, 'exit')
  clearTimeout(timer)
}

function environment({ dataFolder, host, env }: LibraryOptions): Record<string, string> {
  const python = { PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1' }
  const login = { LOOP_USERNAME: 'ada', LOOP_PASSWORD: 'lovelace' }
  return { ...basicEnvironment(), ...python, ...login, DATA_FOLDER: dataFolder, LOOP_HOST: host, ...env }
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(`../python/${script}`, import.meta.url))
}
