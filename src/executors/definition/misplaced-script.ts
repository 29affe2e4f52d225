import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { argumentsOf, type CommandTemplate } from './command-schema.js'

const SCRIPT = /\.(py|pyw|sh|bash|js|mjs|cjs|ts|r|jl|pl|rb|lua)$/i

/**
 * A script that lies beside the definition's file but is named so that it is looked for in the workspace, where the program
 * would not find it; returns what is wrong and the way out, or undefined. What is given to a script is its own affair.
 */
export async function misplacedScript(
  command: CommandTemplate,
  { folder, placeholder }: { readonly folder: string; readonly placeholder: 'trainer' | 'converter' },
): Promise<string | undefined> {
  const [program, ...rest] = command
  if (SCRIPT.test(program)) return undefined
  const first = rest.flatMap(argumentsOf).find((argument) => SCRIPT.test(argument))
  if (first === undefined || first.includes('{') || first.startsWith('/') || first.startsWith('-')) return undefined
  if (program === 'python' && first === firstWord(rest)) return undefined // looked for beside the file
  const isThere = await stat(resolve(folder, first)).then(
    (facts) => facts.isFile(),
    () => false,
  )
  if (!isThere) return undefined
  const isPython = /(^|\/)python[\d.]*$/.test(program) && first === firstWord(rest)
  const orPython = isPython ? ', or begin the command with "python", which stands for the interpreter of "python"' : ''
  const fault = `names "${first}", which is looked for in the workspace, but it lies beside this file`
  return `${fault}; write "{${placeholder}}/${first.replace(/^\.\//, '')}"${orPython}`
}

/** What `python` takes for its script; see buildCommand. */
function firstWord(rest: readonly CommandTemplate[number][]): string | undefined {
  return rest.flatMap(argumentsOf).find((argument) => !argument.startsWith('-'))
}
