// A device for PyTorch that is none: its memory is the processor's, and the processor computes what is asked.
// What it shares with a GPU is what code can get wrong without one: a tensor of the host among those of the
// device is refused, and whenever the host would have to wait for the device, that is counted.
//
// Operations come here by PyTorch's dispatch key for devices from elsewhere. Those that make, view, copy or
// read tensors are below; `fallback` has the processor do all others.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

namespace {

using Sizes = c10::SymIntArrayRef;
using Type = std::optional<at::ScalarType>;
using Layout = std::optional<at::Layout>;
using Place = std::optional<at::Device>;
using Flag = std::optional<bool>;
using Format = std::optional<at::MemoryFormat>;

constexpr auto KIND = c10::DeviceType::PrivateUse1;
const c10::DispatchKeySet KEYS(c10::DispatchKey::PrivateUse1);

std::atomic<int64_t> num_waits{0};
thread_local bool computing = false;  // copies that `fallback` makes are its own affair

void wait() {
  if (!computing) ++num_waits;
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return KIND; }
  c10::Device getDevice() const override { return {KIND, 0}; }
  c10::Device exchangeDevice(c10::Device) const override { return {KIND, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override {
    return c10::Stream(c10::Stream::DEFAULT, c10::Device(KIND, 0));
  }
  c10::Stream exchangeStream(c10::Stream) const override { return getStream({KIND, 0}); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    void* start = std::malloc(size ? size : 1);
    return {start, start, &std::free, c10::Device(KIND, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t size) const override { default_copy_data(to, from, size); }
} memory;
REGISTER_ALLOCATOR(KIND, &memory)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isAvailable() const override { return true; }
  bool isPinnedPtr(const void*) const override { return false; }
  at::Allocator* getPinnedMemoryAllocator() const override { return at::getCPUAllocator(); }
};
const bool hooked = (at::RegisterPrivateUse1HooksInterface(new Hooks), true);

// The same numbers, as a tensor of the processor.
at::Tensor seen(const at::Tensor& tensor) {
  if (!tensor.is_privateuseone()) return tensor;
  const auto keep = [tensor](void*) {};
  return at::from_blob(
      tensor.data_ptr(), tensor.sizes(), tensor.strides(), keep, tensor.options().device(at::kCPU));
}

at::Tensor empty(Sizes size, Type type, Layout, Place, Flag, Format format) {
  return at::detail::empty_generic(
      C10_AS_INTARRAYREF_SLOW(size), &memory, KEYS, c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(Sizes size, Sizes stride, Type type, Layout, Place, Flag) {
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &memory, KEYS,
      c10::dtype_or_default(type));
}

at::Tensor copy(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (from.device() != to.device() && !non_blocking) wait();
  seen(to).copy_(seen(from));
  return to;
}

at::Tensor copy_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  seen(to).copy_(seen(from));
  return to;
}

at::Scalar number_of(const at::Tensor& tensor) {
  wait();
  return seen(tensor).item();
}

at::Tensor as_strided(const at::Tensor& tensor, Sizes size, Sizes stride, std::optional<c10::SymInt> offset) {
  const auto place = offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt;
  return at::native::as_strided_tensorimpl(
      tensor, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), place);
}

at::Tensor view(const at::Tensor& tensor, Sizes size) {
  return at::native::view(tensor, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor reshaped(const at::Tensor& tensor, Sizes size, Sizes stride) {
  return at::native::_reshape_alias(tensor, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

const at::Tensor& resize(const at::Tensor& tensor, Sizes size, Format) {
  auto* own = tensor.unsafeGetTensorImpl();
  own->set_sizes_contiguous(C10_AS_INTARRAYREF_SLOW(size));
  const size_t needed = (own->numel() + own->storage_offset()) * own->itemsize();
  auto* storage = own->unsafe_storage().unsafeGetStorageImpl();
  if (needed > storage->nbytes()) {
    storage->set_data_ptr_noswap(memory.allocate(needed));
    storage->set_nbytes(needed);
  }
  return tensor;
}

at::Tensor& set_part(at::Tensor& tensor, at::Storage storage, c10::SymInt offset, Sizes size, Sizes stride) {
  auto* own = tensor.unsafeGetTensorImpl();
  own->set_storage_keep_dtype(storage);
  own->set_sizes_and_strides(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), offset.expect_int());
  return tensor;
}

at::Tensor& set_whole(at::Tensor& tensor, at::Storage storage) {
  const std::array<c10::SymInt, 1> size{static_cast<int64_t>(storage.nbytes() / tensor.itemsize())}, stride{1};
  return set_part(tensor, storage, 0, size, stride);
}

// Operations whose answer has a size that only the numbers tell.
bool asks_for_numbers(const std::string& name) {
  for (const char* one : {"aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::unique_dim",
                          "aten::equal", "aten::bincount", "aten::repeat_interleave.Tensor"})
    if (name == one) return true;
  return false;
}

void check(const at::Tensor& tensor, const std::string& name) {
  const bool is_here = !tensor.defined() || tensor.dim() == 0 || !tensor.is_cpu();
  TORCH_CHECK(is_here, name, ": a tensor of the host ", tensor.sizes(), " among those of the device");
}

// A GPU takes indices of the host, and fetches them first; of a mask it asks how many are true.
void check_index(const at::Tensor& index) {
  if (index.defined() && (index.is_cpu() || index.scalar_type() == at::kBool)) wait();
}

void check_argument(const c10::IValue& value, const std::string& name) {
  const bool indexes = name.rfind("aten::index.Tensor", 0) == 0 || name.find("index_put") != std::string::npos;
  if (value.isTensor()) return check(value.toTensor(), name);
  if (!value.isList()) return;
  for (const c10::IValue& one : value.toListRef())
    if (one.isTensor()) indexes ? check_index(one.toTensor()) : check(one.toTensor(), name);
}

void fallback(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  const auto name = c10::toString(operation.schema().operator_name());
  const auto first = stack->size() - operation.schema().arguments().size();
  for (auto place = first; place < stack->size(); ++place) check_argument((*stack)[place], name);
  if (asks_for_numbers(name)) wait();
  computing = true;
  struct Done {
    ~Done() { computing = false; }
  } done;
  at::native::cpu_fallback(operation, stack, false, c10::DispatchKey::CPU);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("_copy_from", &copy);
  library.impl("_copy_from_and_resize", &copy_and_resize);
  library.impl("_local_scalar_dense", &number_of);
  library.impl("as_strided", &as_strided);
  library.impl("view", &view);
  library.impl("unfold", &at::native::unfold);
  library.impl("_reshape_alias", &reshaped);
  library.impl("resize_", &resize);
  library.impl("set_.source_Storage", &set_whole);
  library.impl("set_.source_Storage_storage_offset", &set_part);
}

// In reduced precision, the operations that PyTorch reduces on a GPU.
#define IN_REDUCED(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define IN_FLOAT32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFallthrough());
}

TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
  AT_FORALL_LOWER_PRECISION_FP(IN_REDUCED)
  AT_FORALL_FP32(IN_FLOAT32)
}

int64_t waits() { return num_waits.exchange(0); }

TORCH_LIBRARY(stand_in, library) { library.def("waits() -> int", &waits); }

}  // namespace
