import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startCli } from '../../test/helpers/cli-process.js'
import { startNodeScript } from '../../test/helpers/node-script.js'
import { until } from '../../test/helpers/until.js'
import { basicEnvironment } from '../parts/measured-child.js'
import { interpreterOf, type LibraryVersion } from '../parts/python-library.js'
import type { DetectorLoop } from './loop.js'

/** A detector that serves, in a process of its own. */
export type DetectorSide = { readonly url: string; readonly pid: number; end(): Promise<void> }

const READY_MS = 90_000

/** loopfleet's detector with a model of the Loop. */
export async function startOurDetector(
  loop: DetectorLoop,
  folder: string,
  options: { readonly backend: readonly string[]; readonly format: string; readonly dialect?: '0.8' | 'current' },
): Promise<DetectorSide> {
  mkdirSync(folder, { recursive: true })
  const cli = await startCli({
    args: ['detector', '--port', '0', '--data', folder, '--format', options.format, ...options.backend],
    env: { ...basicEnvironment(), ...environmentOf(loop), LOOP_PROTOCOL: options.dialect ?? 'current' },
    logFile: join(folder, 'detector.log'),
  })
  const url = String(cli.facts.url)
  await untilItDetects(url, loop.image)
  return { url, pid: cli.pid, end: async () => void (await cli.end()) }
}

/** A detector of the Python library whose backend does nothing. */
export async function startLibraryDetector(
  version: LibraryVersion,
  loop: DetectorLoop,
  folder: string,
): Promise<DetectorSide> {
  mkdirSync(folder, { recursive: true })
  const script = version === '0.8.2' ? 'trivial_detector_0_8_2.py' : 'trivial_detector.py'
  const port = await freePort()
  const output = openSync(join(folder, 'detector.log'), 'w')
  const interpreter = await interpreterOf(version)
  const path = fileURLToPath(new URL(`../python/${script}`, import.meta.url))
  const env = { ...basicEnvironment(), ...environmentOf(loop), DATA_FOLDER: folder, PYTHONDONTWRITEBYTECODE: '1' }
  const child = spawn(interpreter, [path, String(port)], { cwd: folder, env, stdio: ['ignore', output, output] })
  closeSync(output)
  const url = `http://127.0.0.1:${port}`
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
  await untilItDetects(url, loop.image).catch(async (error: unknown) => {
    await end()
    throw error
  })
  return { url, pid: child.pid ?? 0, end }
}

/** fastify with a multipart parser and nothing else. */
export async function startBareServer(mode: 'plain' | 'decode'): Promise<DetectorSide> {
  const script = await startNodeScript(new URL('../programs/bare-detector', import.meta.url), [mode])
  return { url: `http://127.0.0.1:${script.firstLine}`, pid: script.pid, end: () => script.kill('SIGTERM') }
}

function environmentOf({ host, organization, project }: DetectorLoop): Record<string, string> {
  return { LOOP_HOST: host, LOOP_ORGANIZATION: organization, LOOP_PROJECT: project }
}

async function untilItDetects(url: string, image: Uint8Array<ArrayBuffer>): Promise<void> {
  const detects = async () => {
    const body = new FormData()
    body.append('file', new Blob([image], { type: 'image/jpeg' }), 'image.jpg')
    const options = { method: 'POST', body, headers: { autoupload: 'disabled' } }
    return await fetch(`${url}/detect`, options).then(
      ({ status }) => status === 200,
      () => false,
    )
  }
  await until(`a detector answers at ${url}`, detects, READY_MS)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
