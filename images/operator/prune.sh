# Takes out of site-packages what nothing here imports: the image would be a third larger.
set -eu
cd "$1"

# Only kubernetes.aio is used. The package imports its other half, of the same size, when it is imported.
rm -r kubernetes/client kubernetes/config kubernetes/dynamic kubernetes/informer kubernetes/leaderelection \
  kubernetes/stream kubernetes/utils kubernetes/watch
: >kubernetes/__init__.py

# Only pyarrow.parquet on files in memory is used: no network, no other file systems and formats, no sources, no tests.
cd pyarrow
rm -rf include tests src
rm -f ./*flight* ./*s3* ./*gcsfs* ./*azurefs* ./*hdfs* ./*orc* ./*feather* ./*parquet_encryption* ./*cpp_tests* \
  ./*.pyx ./*.pxi ./*.pxd ./*.h ./*.lib ./*.a
# A wheel holds no links: what is linked against is the name with the number.
rm -f libarrow_python.so libarrow_python.so.*.*.*

# Symbols that only a debugger reads.
cd ..
strip --strip-unneeded pyarrow/*.so* obstore/*.so
