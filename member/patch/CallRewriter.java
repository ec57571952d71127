import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.List;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;

/**
 * Writes the jar of the patch: Hazelcast's class as the class path has it, in which one call goes to JoinGuard, and
 * JoinGuard. Stops where the class has another number of such calls than one: then it is not the code that is known.
 */
public final class CallRewriter {
    private static final String PACKAGE = "com/hazelcast/internal/cluster/impl/";
    private static final String CHANGED = PACKAGE + "ClusterServiceImpl.class";
    private static final String ADDED = PACKAGE + "JoinGuard.class";
    private static final String CALLER = "setMasterAddressToJoin";
    private static final String CALLED = "setMasterAddress";

    private static final ClassDesc GUARD = ClassDesc.of("com.hazelcast.internal.cluster.impl.JoinGuard");
    private static final ClassDesc CLUSTER = ClassDesc.of("com.hazelcast.internal.cluster.impl.ClusterServiceImpl");
    private static final ClassDesc ADDRESS = ClassDesc.of("com.hazelcast.cluster.Address");
    private static final MethodTypeDesc BEFORE = MethodTypeDesc.of(ConstantDescs.CD_void, ADDRESS);
    private static final MethodTypeDesc AFTER = BEFORE.insertParameterTypes(0, CLUSTER);

    private static final ClassFile CLASS_FILE = ClassFile.of(ClassFile.ClassHierarchyResolverOption.of(
        ClassHierarchyResolver.ofResourceParsing(ClassLoader.getSystemClassLoader())
            .orElse(ClassHierarchyResolver.defaultResolver())));

    // Jars with the same content are the same file, whenever they are made.
    private static final LocalDateTime NO_TIME = LocalDateTime.of(1980, 1, 1, 0, 0);

    private CallRewriter() {
    }

    /** Takes the file to write, and the notice that goes into it; both classes are found on the class path. */
    public static void main(String[] args) throws IOException {
        byte[] changed = rewrite(onClassPath(CHANGED));
        try (OutputStream file = Files.newOutputStream(Path.of(args[0])); JarOutputStream jar = new JarOutputStream(file)) {
            add(jar, "META-INF/NOTICE", Files.readAllBytes(Path.of(args[1])));
            add(jar, CHANGED, changed);
            add(jar, ADDED, onClassPath(ADDED));
        }
    }

    private static byte[] rewrite(byte[] original) {
        ClassModel model = CLASS_FILE.parse(original);
        long calls = model.methods().stream().filter(CallRewriter::isCaller)
            .flatMap(method -> method.code().stream()).flatMap(code -> code.elementStream())
            .filter(CallRewriter::isCall).count();
        if (calls != 1) {
            throw stop("this Hazelcast has " + calls + " calls of " + CALLED + " in " + CALLER + " where 1 is known");
        }
        CodeTransform throughGuard = (code, element) -> {
            if (isCall(element)) {
                code.invokestatic(GUARD, CALLED, AFTER);
            } else {
                code.with(element);
            }
        };
        byte[] changed = CLASS_FILE.transformClass(
            model, ClassTransform.transformingMethodBodies(CallRewriter::isCaller, throughGuard));
        List<VerifyError> errors = CLASS_FILE.verify(changed);
        if (!errors.isEmpty()) {
            throw stop("the changed class does not verify: " + errors.getFirst().getMessage());
        }
        return changed;
    }

    private static boolean isCaller(MethodModel method) {
        return method.methodName().equalsString(CALLER);
    }

    private static boolean isCall(CodeElement element) {
        return element instanceof InvokeInstruction call
            && call.owner().asSymbol().equals(CLUSTER)
            && call.name().equalsString(CALLED)
            && call.typeSymbol().equals(BEFORE);
    }

    private static byte[] onClassPath(String name) throws IOException {
        try (InputStream content = ClassLoader.getSystemResourceAsStream(name)) {
            if (content == null) {
                throw stop("the class path has no " + name);
            }
            return content.readAllBytes();
        }
    }

    private static void add(JarOutputStream jar, String name, byte[] content) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setTimeLocal(NO_TIME);
        jar.putNextEntry(entry);
        jar.write(content);
        jar.closeEntry();
    }

    private static IllegalStateException stop(String why) {
        return new IllegalStateException(why + ": member/patch has to be looked at for this release");
    }
}
