// `npm run docs`: writes the reference pages that are made from the program; a test fails when they are stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

setUp(['packages', 'build'])
const [{ cliPage }, { configurationPage }, { createProgram }] = await Promise.all([
  import('../dist/src/cli/reference/cli-page.js'),
  import('../dist/src/cli/reference/configuration-page.js'),
  import('../dist/src/cli/program.js'),
])
const pages = { 'cli.md': cliPage(createProgram()), 'configuration.md': configurationPage() }
for (const [name, text] of Object.entries(pages)) {
  writeFileSync(join(root, 'docs/reference', name), text)
  process.stdout.write(`docs/reference/${name}\n`)
}
