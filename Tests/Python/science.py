"""Files of a famfs as numpy, pyarrow, safetensors and DuckDB use them. usage:

science.py make FOLDER            writes the files
science.py use FOLDER TAG         reads all of them, changes what ends in -TAG, and prints what it saw
science.py watch FILE NUMBER MARK maps a file, makes the file MARK, and waits for its first word to be a number
science.py tell FILE NUMBER       stores a number there
science.py database FOLDER TAG    makes a database there
"""

import os
import sys
import time

import duckdb
import numpy
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import safetensors
import safetensors.numpy

ROWS = 200_000


def is_memory():
    """Whether something of a device is mapped, rather than of a file on the mount."""
    with open("/proc/self/maps") as maps:
        lines = maps.read()
    return "/device\n" in lines and not any(line.endswith(TAGGED) for line in lines.splitlines())


TAGGED = (".npy", ".raw", ".arrow", ".feather", ".parquet", ".safetensors")


def table():
    numbers = numpy.arange(ROWS)
    return pyarrow.table({"i": numbers, "k": numbers % 7, "x": numbers * 0.5, "s": [f"text {i % 1000}" for i in range(ROWS)]})


def make(folder):
    for tag in ["plain", "exec"]:
        numpy.arange(300_000, dtype="f4").tofile(f"{folder}/array-{tag}.raw")
    numpy.save(f"{folder}/array.npy", numpy.arange(600_000, dtype="i8").reshape(600, 1000))
    rows = table()
    with pyarrow.OSFile(f"{folder}/table.arrow", "wb") as file, pyarrow.ipc.new_file(file, rows.schema) as writer:
        writer.write_table(rows)
    pyarrow.feather.write_feather(rows, f"{folder}/table.feather", compression="uncompressed")
    pyarrow.parquet.write_table(rows, f"{folder}/table.parquet")
    tensors = {"weights": numpy.arange(250_000, dtype="f4").reshape(500, 500), "bias": numpy.ones(500, dtype="f2")}
    safetensors.numpy.save_file(tensors, f"{folder}/model.safetensors")
    with duckdb.connect(f"{folder}/made.duckdb") as database:
        database.execute(f"create table t as select i, i % 7 as k, 'text ' || i as s from range({ROWS}) r(i)")
        database.execute(f"copy (select i, i % 7 as k from t) to '{folder}/table.csv'")


def use_numpy(folder, tag):
    raw = f"{folder}/array-{tag}.raw"
    array = numpy.memmap(raw, dtype="f4", mode="r")
    print("memmap r", array.shape, float(array.sum(dtype="f8")), array.flags.writeable)
    memory = [is_memory()]
    try:
        array[0] = 1
    except ValueError as error:
        print("read-only", error)
    del array
    array = numpy.memmap(raw, dtype="f4", mode="r+", offset=4096, shape=(1000, 200))
    array[7, :] = -1
    array[999, 199] = 5
    array.flush()
    memory.append(is_memory())
    del array
    again = numpy.fromfile(raw, dtype="f4")
    print("memmap r+", float(again.sum(dtype="f8")), again[1024 + 1400 : 1024 + 1403], again[1024 + 199_999])
    array = numpy.memmap(raw, dtype="f4", mode="c")
    array[:] = 3
    memory.append(is_memory())
    print("memmap c", float(array.sum()), float(numpy.fromfile(raw, dtype="f4").sum(dtype="f8")))
    del array
    array = numpy.load(f"{folder}/array.npy", mmap_mode="r")
    memory.append(is_memory())
    print("load", array.shape, int(array[::7, 3].sum()), int(array.sum()))
    return memory


def use_arrow(folder):
    memory = []
    with pyarrow.memory_map(f"{folder}/table.arrow") as file:
        rows = pyarrow.ipc.open_file(file).read_all()
        memory.append(is_memory())
        print("arrow", rows.num_rows, rows["i"].to_numpy().sum(), rows["s"][1999], rows.validate(full=True), pyarrow.total_allocated_bytes() < 1 << 20)
    del rows
    rows = pyarrow.feather.read_table(f"{folder}/table.feather", memory_map=True)
    memory.append(is_memory())
    print("feather", rows.equals(table()))
    del rows
    rows = pyarrow.parquet.read_table(f"{folder}/table.parquet", memory_map=True)
    print("parquet", rows.equals(table()))
    with pyarrow.memory_map(f"{folder}/array.npy", "r+") as file:
        memory.append(is_memory())
        print("memory_map r+", file.size(), file.read_at(8, 128), file.read_buffer(6).to_pybytes())
    return memory


def use_safetensors(folder):
    with safetensors.safe_open(f"{folder}/model.safetensors", framework="np") as model:
        memory = is_memory()
        print("safetensors", sorted(model.keys()), model.get_tensor("weights").sum(dtype="f8"), model.get_slice("bias")[3:5])
    return [memory]


def use_duckdb(folder):
    database = duckdb.connect()
    for query in [f"'{folder}/table.parquet'", f"read_csv('{folder}/table.csv')"]:
        print(query[-12:], database.execute(f"select k, count(*), sum(i) from {query} group by k order by k").fetchall())
    with duckdb.connect(f"{folder}/made.duckdb", read_only=True) as made:
        print("database", made.execute("select count(*), sum(i), max(s) from t where k < 3").fetchall())


def use(folder, tag):
    memory = use_numpy(folder, tag) + use_arrow(folder) + use_safetensors(folder)
    use_duckdb(folder)
    print("memory", all(memory), any(memory))


def watch(path, number, mark):
    word = numpy.memmap(path, dtype="i8", mode="r", shape=1)
    first = int(word[0])
    print(is_memory(), first == int(number))
    open(mark, "w").close()
    deadline = time.monotonic() + 180
    while int(word[0]) == first and time.monotonic() < deadline:
        pass
    print(int(word[0]))


def tell(path, number):
    numpy.memmap(path, dtype="i8", mode="r+", shape=1)[0] = number


def database(folder, tag):
    """Under a passing name, for a file that is synced is committed, and has its last size."""
    with duckdb.connect(f"{folder}/tmp-{tag}.duckdb") as made:
        made.execute(f"create table t as select i, i * i as sq from range({ROWS}) r(i)")
        made.execute("checkpoint")
        made.execute("update t set sq = 7 where i % 1000 = 0")
    os.rename(f"{folder}/tmp-{tag}.duckdb", f"{folder}/{tag}.duckdb")
    with duckdb.connect(f"{folder}/{tag}.duckdb", read_only=True) as made:
        print(made.execute("select count(*), sum(sq) from t").fetchall())


{"make": make, "use": use, "watch": watch, "tell": lambda path, n: tell(path, int(n)), "database": database}[sys.argv[1]](*sys.argv[2:])
