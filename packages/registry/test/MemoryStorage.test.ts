import * as MemoryStorage from "../src/MemoryStorage.ts"
import { suite } from "./storage.ts"

suite("MemoryStorage", MemoryStorage.layer)
