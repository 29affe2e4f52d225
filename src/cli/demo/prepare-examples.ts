import { createHash } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { hasCode, helperEnvironment, LoopfleetError, pipVariables } from '../../base/index.js'
import { maskPasswords } from '../../base/logger/index.js'

/** The example trainer and the converter of its models, with the Python environment that both use. */
export type Examples = { readonly trainer: string; readonly converter: string }

export type PrepareOptions = {
  /** The demo's data folder; a copy of the examples is kept in it. */
  readonly folder: string
  /** The folder of the examples; the package's own by default, four folders above this module once compiled. */
  readonly source?: string
}

export type PrepareDeps = { readonly signal: AbortSignal; readonly say: (line: string) => void }

const PACKAGE_EXAMPLES = fileURLToPath(new URL('../../../../examples', import.meta.url))
const TRAINER = 'shapes-trainer'
const CONVERTER = 'shapes-quantize'
const ENVIRONMENT = '.venv'
const MARKER = 'requirements.sha256'
const VENV_MISSING = 'install Python 3 with its venv module ("apt-get install python3 python3-venv")'
const INDEX_AWAY = 'the Python package index must be reachable (pip obeys PIP_INDEX_URL and the proxy variables)'
const PIP = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--quiet', '-r']

/**
 * The examples, ready to run. In a checkout whose set-up has made their Python environment they are used where they
 * are. In an installed package, whose folder may be read-only, they are copied to the data folder and the environment
 * is made there, once for each version of the requirements. Throws LF_DEMO_ENVIRONMENT.
 */
export async function prepareExamples(options: PrepareOptions, deps: PrepareDeps): Promise<Examples> {
  const { folder, source = PACKAGE_EXAMPLES } = options
  const requirements = await readFile(join(source, TRAINER, 'requirements.txt'))
  const hash = createHash('sha256').update(requirements).digest('hex')
  if (await hasEnvironment(source, hash)) return examplesIn(source)
  const copy = join(folder, 'examples')
  for (const name of [TRAINER, CONVERTER]) {
    await cp(join(source, name), join(copy, name), { recursive: true, filter: isSource })
  }
  if (!(await hasEnvironment(copy, hash))) await makeEnvironment(join(copy, TRAINER), hash, deps)
  return examplesIn(copy)
}

function examplesIn(folder: string): Examples {
  return { trainer: join(folder, TRAINER, 'trainer.yaml'), converter: join(folder, CONVERTER, 'converter.yaml') }
}

function isSource(path: string): boolean {
  return ![ENVIRONMENT, '__pycache__'].includes(basename(path))
}

/** The set-up of a checkout writes the same marker when it has made the environment. */
async function hasEnvironment(examples: string, hash: string): Promise<boolean> {
  const marker = join(examples, TRAINER, ENVIRONMENT, MARKER)
  const made = await readFile(marker, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  })
  return made === hash
}

async function makeEnvironment(trainer: string, hash: string, { signal, say }: PrepareDeps): Promise<void> {
  const environment = join(trainer, ENVIRONMENT)
  say(`Making a Python environment for the example trainer in ${environment}, once …`)
  await run(['python3', '-m', 'venv', '--clear', environment], VENV_MISSING, signal)
  const pip = [join(environment, 'bin/python'), ...PIP, join(trainer, 'requirements.txt')]
  await run(pip, INDEX_AWAY, signal)
  await writeFile(join(environment, MARKER), hash)
}

async function run([program = '', ...args]: readonly string[], wayOut: string, signal: AbortSignal): Promise<void> {
  const { failed, shortMessage, stdout, stderr } = await execa(program, args, {
    reject: false,
    stdin: 'ignore',
    cancelSignal: signal,
    env: helperEnvironment(pipVariables),
    extendEnv: false,
  })
  signal.throwIfAborted()
  if (!failed) return
  const last = maskPasswords(`${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? '')
  const why = last === '' ? shortMessage : last
  throw new LoopfleetError(
    'LF_DEMO_ENVIRONMENT',
    `The Python environment of the example trainer could not be made (${why}); ${wayOut}, then start the demo again.`,
    { details: { command: [program, ...args] } },
  )
}
