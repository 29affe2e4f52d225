import { pythonEnvironment } from './python-environment.js'

const requirements = {
  'learning_loop_node 0.8.2': '../contract/python-nodes/requirements-0.8.2.txt',
  'learning_loop_node 0.27.0': '../contract/python-nodes/requirements-newest.txt',
  'detector clients': '../detector/clients/requirements.txt',
  yaml: '../executors/requirements-yaml.txt',
} as const

export type PreparedPython = keyof typeof requirements

/** The interpreter of one of the environments that tests share. Set-up makes them; a single file makes what is missing. */
export function preparedPython(name: PreparedPython): Promise<string> {
  return pythonEnvironment(name, new URL(requirements[name], import.meta.url))
}

/** Makes those that are missing. */
export async function preparePythons(): Promise<void> {
  for (const [name, file] of Object.entries(requirements)) await pythonEnvironment(name, new URL(file, import.meta.url))
}
