// What is used of WebAssembly; TypeScript declares it for browsers only.
declare namespace WebAssembly {
  class Memory {
    constructor(pages: { readonly initial: number })
    readonly buffer: ArrayBuffer
    grow(pages: number): number
  }
  class Module {
    constructor(code: Uint8Array)
  }
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, Memory>>>>)
    readonly exports: unknown
  }
  function validate(code: Uint8Array): boolean
}
