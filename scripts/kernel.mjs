// Assembles src/inference/resize/kernel.wat; the result is kept beside it, so that nobody needs this to build or install.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const source = new URL('../src/inference/resize/kernel.wat', import.meta.url)

/** The bytes of kernel.wasm. */
export async function assembleKernel() {
  const { parseWat } = await wabt()
  const module = parseWat('kernel.wat', readFileSync(source, 'utf8'), { simd: true })
  return module.toBinary({}).buffer
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('kernel.wasm', source), await assembleKernel())
}
