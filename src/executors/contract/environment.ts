import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isAllowedBy } from '../../base/index.js'
import type { VisibleGpu } from './visible-gpus.js'

/** The worker's own variables that programs may see; Loop credentials are not among them. */
const ALLOWED = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'CUDA_HOME',
  'CUDA_PATH',
  'VIRTUAL_ENV',
  'CONDA_PREFIX',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
] as const
const ALLOWED_PREFIXES = ['LC_', 'OMP_', 'OPENBLAS_', 'MKL_', 'NVIDIA_', 'NCCL_']

/** Folder of loopfleet_events.py; on the PYTHONPATH of every started program. */
export const pythonHelperFolder = fileURLToPath(new URL('./python', import.meta.url))

export type EnvironmentOptions = {
  /** The worker's environment (handed in, never read here); only the allowed names are taken over. */
  readonly host: Readonly<Record<string, string | undefined>>
  readonly workspace: string
  readonly gpus: readonly VisibleGpu[]
  /** More variables of ours, such as LOOPFLEET_EVENTS. */
  readonly own?: Readonly<Record<string, string>>
}

/** The complete environment of a started program: allow-list, the trainer file's `env`, ours, the leased GPUs. */
export function programEnvironment(
  definition: { readonly env: Readonly<Record<string, string>>; readonly folder: string },
  options: EnvironmentOptions,
): Record<string, string> {
  const pythonPath = [pythonHelperFolder, definition.env.PYTHONPATH].filter((path) => path !== undefined)
  return {
    ...allowedVariables(options.host),
    PYTHONUNBUFFERED: '1',
    ...definition.env,
    PYTHONPATH: pythonPath.join(delimiter),
    LOOPFLEET_WORKSPACE: options.workspace,
    LOOPFLEET_TRAINER_FOLDER: definition.folder,
    ...options.own,
    ...gpuVariables(options.gpus),
  }
}

/** What of the host's environment any program may see. */
export function allowedVariables(host: EnvironmentOptions['host']): Record<string, string> {
  const entries = Object.entries(host).flatMap(([name, value]) =>
    value !== undefined && isAllowed(name) ? [[name, value] as const] : [],
  )
  return Object.fromEntries(entries)
}

function isAllowed(name: string): boolean {
  return ALLOWED.some((allowedName) => allowedName === name) || isAllowedBy(ALLOWED_PREFIXES, name)
}

/** nvidia-smi counts cards by bus id and CUDA, by itself, fastest first: without the order a lease names another card. */
function gpuVariables(gpus: readonly VisibleGpu[]): Record<string, string> {
  return { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: gpus.join(',') }
}
