import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import type { DescribeAnswer } from './describe-plugin.js'
import { describe } from './hook-schema.js'
import { importPlugin } from './import-plugin.js'

// The child process that looks at a plug-in: FILE EXPORT ANSWER.
const [file = '', name = '', answerFile = ''] = process.argv.slice(2)

async function look(): Promise<DescribeAnswer> {
  try {
    return { ok: true, description: describe(await importPlugin(file, name)) }
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) }
  }
}

await writeFile(answerFile, JSON.stringify(await look()))
process.exit(0) // whatever the plug-in has left open
